# SPDX-License-Identifier: Apache-2.0
"""Rivals in processes of their own."""

import sys
import textwrap

import pytest

from bench.turns import Rival, take_turns


@pytest.fixture
def sleeper(tmp_path, monkeypatch) -> str:
    """A module whose ways take a known time, and that prints where it should not."""
    (tmp_path / "sleeper.py").write_text(
        textwrap.dedent("""
        import sys, time
        from bench.turns import own_stdout, serve

        answers = own_stdout()
        print("a library says hello")
        factor = float(sys.argv[1])
        ways = {"short": lambda: time.sleep(0.1 * factor), "long": lambda: time.sleep(0.3 * factor)}
        serve({n: w for n, w in ways.items() if factor < 2 or n == "short"}, answers, {"factor": factor})
        """)
    )
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *sys.path]))
    return "sleeper"


def test_times_are_the_rivals_own_and_belong_to_the_turns(sleeper):
    with Rival(sleeper, "1") as one, Rival(sleeper, "2") as two:
        assert one.facts == {"factor": 1.0} and two.ways == ["short"]
        times, rates = take_turns([one, two], ["short", "long"], turns=3, warmup=1)
    assert set(times) == {(0, "short"), (0, "long"), (1, "short")}
    assert all(len(taken) == 3 for taken in times.values()) and len(rates) == 3
    assert min(times[0, "short"]) >= 0.1 and min(times[0, "long"]) >= 0.3
    assert min(times[1, "short"]) >= 0.2 and min(rates) > 0


def test_a_rival_that_cannot_start_is_an_error_that_names_it():
    with pytest.raises(RuntimeError, match=r"bench\.network_rival onnxruntime no_such_model"):
        Rival("bench.network_rival", "onnxruntime", "no_such_model")
