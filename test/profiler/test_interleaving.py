# SPDX-License-Identifier: Apache-2.0
"""Test contenders in processes of their own."""

import sys
import textwrap

import pytest

from evitsam_ros.profiler.interleaving import Contender, interleave


@pytest.fixture
def sleeper(tmp_path, monkeypatch) -> str:
    """Write a module with variants of known time, which prints to stdout."""
    (tmp_path / "sleeper.py").write_text(
        textwrap.dedent("""
        import sys, time
        from evitsam_ros.profiler.interleaving import own_stdout, serve

        answers = own_stdout()
        print("a library says hello")
        factor = float(sys.argv[1])
        ways = {"short": lambda: time.sleep(0.1 * factor), "long": lambda: time.sleep(0.3 * factor)}
        serve({n: w for n, w in ways.items() if factor < 2 or n == "short"}, answers, {"factor": factor})
        """)
    )
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *sys.path]))
    return "sleeper"


def test_each_contender_has_its_own_time_in_each_round(sleeper):
    with Contender(sleeper, "1") as one, Contender(sleeper, "2") as two:
        assert one.facts == {"factor": 1.0} and two.variants == ["short"]
        times, rates = interleave([one, two], ["short", "long"], rounds=3, warmup=1)
    assert set(times) == {(0, "short"), (0, "long"), (1, "short")}
    assert all(len(taken) == 3 for taken in times.values()) and len(rates) == 3
    assert min(times[0, "short"]) >= 0.1 and min(times[0, "long"]) >= 0.3
    assert min(times[1, "short"]) >= 0.2 and min(rates) > 0


def test_a_contender_that_cannot_start_is_named_in_the_error():
    with pytest.raises(RuntimeError, match=r"network_contender onnxruntime no_such_model 0"):
        Contender("evitsam_ros.profiler.network_contender", "onnxruntime", "no_such_model", "0")
