# SPDX-License-Identifier: Apache-2.0
"""Test stored ratios and the regression check on made-up runs and tables."""

from pathlib import Path

import pytest
import yaml

import bench.__main__ as command
from bench.ratio_table import (
    MIN_TOLERANCE,
    OLD,
    TABLE,
    BenchError,
    Processor,
    RatioTable,
    StoredRatio,
    entry_of,
    read_table,
    write_table,
)
from bench.regression_check import compare
from evitsam_ros.profiler.schema import write_report

from .conftest import FAMILY, made_up

SPEED, COST = "networks/encoder/openvino: speed", "ros/720p/raw/two: floor"
HERE = Processor("a CPU", FAMILY, ("avx2", "avx512f"), 2)


@pytest.fixture
def table(tmp_path) -> Path:
    """Write a table of three runs, one of which deviates by 30 % in its cost."""
    path = tmp_path / "ratios.yaml"
    entry = entry_of([made_up(), made_up(networks=2.02), made_up(cost=3.9)])
    write_table(RatioTable((entry,)), path)
    return path


def test_tolerances_follow_the_spread_of_the_runs(table):
    (entry,) = read_table(table).entries
    assert entry.processor == HERE
    assert entry.ratios[SPEED] == StoredRatio(2.0, "more", MIN_TOLERANCE)
    assert entry.ratios[COST] == StoredRatio(3.0, "less", 0.6)


def test_a_single_run_gets_a_wide_tolerance():
    assert entry_of([made_up()]).ratios[SPEED].tolerance == 0.4


@pytest.mark.parametrize(
    ("run", "regressed"),
    [
        (made_up(), []),
        (made_up(networks=1.75), []),
        (made_up(networks=1.7), [SPEED]),
        (made_up(networks=20.0, cost=0.1), []),
        (made_up(cost=4.7), []),
        (made_up(networks=1.0, cost=4.9), [SPEED, COST]),
    ],
)
def test_ratios_beyond_their_tolerance_are_regressions(table, run, regressed):
    found = compare(run, read_table(table))
    assert found.stored and found.regressed == regressed and not found.missing
    assert all(key in found.text for key in regressed)
    assert ("none of 2 ratios regressed" in found.text) == (not regressed)


def test_doubling_a_negligible_ratio_is_no_regression():
    assert not StoredRatio(1e-5, "less", 0.2).regressed(4e-5)
    assert StoredRatio(1e-5, "less", 0.2).regressed(2e-3)


def test_a_ratio_that_was_not_measured_is_listed_and_no_regression(table):
    run = made_up()
    run.suites.pop("ros")
    found = compare(run, read_table(table))
    assert found.missing == [COST] and not found.regressed
    assert f"not measured here: {COST}" in found.text


@pytest.mark.parametrize(
    "machine",
    [
        {"CPU": "another CPU"},
        {"CPU family": "AuthenticAMD family 26 model 2"},
        {"CPU family": None},
        {"instruction sets": "avx2"},
        {"instruction sets": None},
        {"CPUs of this process": 4},
    ],
)
def test_a_processor_without_an_entry_passes_and_shows_how_to_store_one(table, machine):
    run = made_up(networks=0.1, machine=made_up().machine | machine)
    found = compare(run, read_table(table))
    assert not found.stored and not found.regressed
    assert "no ratios are stored for" in found.text and "make bench ARGS=--store" in found.text


def test_each_processor_has_its_own_entry(table):
    other = made_up(
        networks=1.0, machine=made_up().machine | {"CPU family": "AuthenticAMD family 26 model 2"}
    )
    both = read_table(table).replacing(entry_of([other]))
    write_table(both, table)
    assert read_table(table) == both and len(both.entries) == 2
    assert not compare(other, both).regressed and compare(made_up(networks=1.0), both).regressed == [SPEED]
    assert [value for _, value in both.values(SPEED)] == [2.0, 1.0]
    again = both.replacing(entry_of([made_up(networks=3.0)]))
    assert len(again.entries) == 2 and again.entry_for(HERE).ratios[SPEED].value == 3.0


def test_a_table_of_the_format_before_is_read_as_one_unidentified_processor(table):
    content = yaml.safe_load(table.read_text())
    ratios = content["processors"][0]["ratios"]
    made = {"date": "2026-11-22", "CPU": "a CPU", "CPUs": 2}
    table.write_text(yaml.safe_dump({"schema": OLD, "made": made, "ratios": ratios}))
    old = read_table(table)
    assert old.entries[0].processor == Processor("a CPU", None, None, 2)
    assert old.entries[0].ratios[SPEED].value == 2.0 and not compare(made_up(networks=0.1), old).stored


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([made_up(failed={"l0": "exited"})], "l0"),
        ([made_up(), made_up(machine={"CPU": "another CPU"})], "different processors"),
        ([made_up(machine={"CPU": "a CPU"})], "not identified"),
    ],
)
def test_runs_that_cannot_be_stored_are_rejected(runs, message):
    with pytest.raises(BenchError, match=message):
        entry_of(runs)


def test_a_damaged_table_is_rejected_with_the_entry(table):
    content = yaml.safe_load(table.read_text())
    content["processors"][0]["ratios"][COST]["better"] = "different"
    table.write_text(yaml.safe_dump(content))
    with pytest.raises(BenchError, match="different"):
        read_table(table)
    with pytest.raises(BenchError, match="cannot be read"):
        read_table(table.with_name("missing.yaml"))


@pytest.mark.parametrize("option", ["--check", "--gate"])
def test_the_command_fails_after_a_regression(table, monkeypatch, capsys, caplog, option):
    for run, code in ((made_up(), 0), (made_up(networks=1.0), 1), (made_up(failed={"l0": "exited"}), 1)):
        monkeypatch.setattr(command, "run", lambda *_, run=run, **__: run)
        assert command.main([option, str(table)]) == code
    assert "regressed" in capsys.readouterr().out
    assert ("'--gate' is deprecated" in caplog.text) == (option == "--gate")
    assert command.main([option, str(table.with_name("missing.yaml"))]) == 2


def test_the_command_passes_on_a_processor_without_an_entry(table, monkeypatch, capsys):
    run = made_up(networks=0.1, machine=made_up().machine | {"CPU": "another CPU"})
    monkeypatch.setattr(command, "run", lambda *_, **__: run)
    assert command.main(["--check", str(table)]) == 0
    assert "no ratio was compared" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--store", "--write-gate"])
def test_the_command_stores_reports_and_keeps_other_processors(tmp_path, table, option):
    machine = made_up().machine | {"CPU": "another CPU"}
    paths = [tmp_path / f"{number}.json" for number in range(2)]
    for path in paths:
        write_report(made_up(machine=machine), path)
    assert command.main([option, "--check", str(table), "--reports", *map(str, paths)]) == 0
    first, second = read_table(table).entries
    assert first.processor == HERE and second.processor.name == "another CPU"
    assert second.made["runs"] == 2 and set(second.ratios) == {SPEED, COST}


@pytest.mark.parametrize("option", ["--json", "--out"])
def test_the_command_writes_its_report(tmp_path, monkeypatch, option):
    monkeypatch.setattr(command, "run", lambda *_, **__: made_up())
    assert command.main([option, str(tmp_path / "bench.json")]) == 0
    assert command.read_report(tmp_path / "bench.json") == made_up()


def test_the_shipped_table_is_valid_and_has_several_processors():
    table = read_table(TABLE)
    assert len(list(table.values("l0/encoder: speed"))) > 1
