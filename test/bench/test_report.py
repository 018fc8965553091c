# SPDX-License-Identifier: Apache-2.0
"""Test a run as a file and as text."""

import json

import pytest

from bench.goals import render
from evitsam_ros.profiler.schema import ID, ReportError, read_report, write_report

from .conftest import made_up


def test_a_written_run_is_read_back_equal(tmp_path):
    path = tmp_path / "bench.json"
    write_report(made_up(), path)
    assert read_report(path) == made_up()
    content = json.loads(path.read_text())
    assert content["schema"] == ID
    assert content["parts"]["ros"]["figures"][0]["value"] == 5.0
    assert content["parts"]["networks"]["ratios"][0]["value"] == 2.0


def test_a_file_that_is_no_run_is_rejected_with_the_reason(tmp_path):
    path = tmp_path / "bench.json"
    with pytest.raises(ReportError, match="cannot be read"):
        read_report(path)
    write_report(made_up(), path)
    content = json.loads(path.read_text())
    for damage, message in (
        (content | {"schema": "evitsam-bench/9"}, "evitsam-report/1"),
        (content | {"parts": {"ros": {"figures": [{"key": "a"}], "ratios": [], "notes": []}}}, "parts.ros"),
        ({"rows": []}, "is not a report"),
        (content | {"parts": {}, "failed": {}}, "stages: "),
    ):
        path.write_text(json.dumps(damage))
        with pytest.raises(ReportError, match=message):
            read_report(path)


def test_the_text_has_figures_bounds_goals_and_failures():
    watched = {"other work on the CPUs, %": 30.0}
    text = render(made_up(failed={"l0": "it ended"}, watched=watched))
    row = next(line for line in text.splitlines() if line.startswith("720p raw "))
    assert row.split()[-7:] == ["2.00", "ms", "x", "2.50", "1", "of", "4"]
    goal = next(line for line in text.splitlines() if "720p" in line and "at most" in line)
    assert goal.endswith("met") and "5 ms" in goal
    assert "FAILED l0: it ended" in text and "how it was done" in text
    assert "The machine was not quiet: other work on the CPUs took 30 % of them." in text
    assert text.endswith("python -m bench")
