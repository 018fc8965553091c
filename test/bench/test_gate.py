# SPDX-License-Identifier: Apache-2.0
"""The gate on made-up runs and tables."""

from pathlib import Path

import pytest
import yaml

import bench.__main__ as command
from bench.gate import LEAST, BenchError, Stored, compare, read_table, table_of, write_table
from evitsam_ros.profiler.schema import write_report

from .conftest import made_up

SPEED, COST = "networks/encoder/openvino: speed", "ros/720p/raw/two: floor"


@pytest.fixture
def table(tmp_path) -> Path:
    """Of three runs, one of which was 30 % off in its cost."""
    path = tmp_path / "ratios.yaml"
    write_table(table_of([made_up(), made_up(networks=2.02), made_up(cost=3.9)]), path)
    return path


def test_tolerances_follow_the_spread_of_the_runs(table):
    ratios = read_table(table).ratios
    assert ratios[SPEED] == Stored(2.0, "more", LEAST)
    assert ratios[COST] == Stored(3.0, "less", 0.6)


def test_a_single_run_is_not_trusted():
    assert table_of([made_up()]).ratios[SPEED].tolerance == 0.4


@pytest.mark.parametrize(
    ("run", "worse"),
    [
        (made_up(), []),
        (made_up(networks=1.75), []),
        (made_up(networks=1.7), [SPEED]),
        (made_up(networks=20.0, cost=0.1), []),
        (made_up(cost=4.7), []),
        (made_up(networks=1.0, cost=4.9), [SPEED, COST]),
    ],
)
def test_what_got_worse_by_more_than_its_tolerance_is_found(table, run, worse):
    found = compare(run, read_table(table))
    assert found.worse == worse and not found.missing
    assert all(key in found.text for key in worse)
    assert ("none of 2 ratios got worse" in found.text) == (not worse)


def test_of_next_to_nothing_twice_is_not_worse():
    assert not Stored(1e-5, "less", 0.2).worse(4e-5)
    assert Stored(1e-5, "less", 0.2).worse(2e-3)


def test_what_was_not_measured_is_said_and_another_machine_too(table):
    run = made_up(cpu="another CPU")
    run.parts.pop("ros")
    found = compare(run, read_table(table))
    assert found.missing == [COST] and not found.worse
    assert f"not measured here: {COST}" in found.text and "another CPU" in found.text


def test_a_table_of_a_failed_run_or_a_damaged_one_is_refused(table):
    with pytest.raises(BenchError, match="l0"):
        table_of([made_up(failed={"l0": "ended"})])
    content = yaml.safe_load(table.read_text())
    content["ratios"][COST]["better"] = "different"
    table.write_text(yaml.safe_dump(content))
    with pytest.raises(BenchError, match="different"):
        read_table(table)
    with pytest.raises(BenchError, match="cannot be read"):
        read_table(table.with_name("missing.yaml"))


def test_the_command_fails_when_something_got_worse(table, monkeypatch, capsys):
    for run, code in ((made_up(), 0), (made_up(networks=1.0), 1), (made_up(failed={"l0": "ended"}), 1)):
        monkeypatch.setattr(command, "run", lambda *_, run=run: run)
        assert command.main(["--gate", str(table)]) == code
    assert "got worse" in capsys.readouterr().out
    assert command.main(["--gate", str(table.with_name("missing.yaml"))]) == 2


def test_the_command_writes_a_table_of_runs_that_are_there(tmp_path):
    paths = [tmp_path / f"{number}.json" for number in range(2)]
    for path in paths:
        write_report(made_up(), path)
    made = tmp_path / "made.yaml"
    given = ["--write-gate", "--gate", str(made), "--reports", *map(str, paths)]
    assert command.main(given) == 0
    assert read_table(made).made["runs"] == 2 and set(read_table(made).ratios) == {SPEED, COST}


def test_the_table_of_the_checkout_can_be_read():
    assert read_table(command.TABLE).ratios
