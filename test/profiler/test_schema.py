# SPDX-License-Identifier: Apache-2.0
"""Test written and read reports, and files that are none."""

import json

import pytest

from evitsam_ros.profiler.schema import ReportError, as_json, read_report, write_report


def test_a_written_report_is_read_back_equal(made_up, tmp_path):
    report = made_up({"encoder": [3.0, 1.0, 2.0], "whole frame": [4.0, 5.0, 6.0]})
    path = tmp_path / "report.json"
    write_report(report, path)
    assert read_report(path) == report
    content = json.loads(path.read_text())
    assert content["schema"] == "evitsam-report/1"
    assert content["stages"][0]["figures"]["p50"] == 2.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"schema": "evitsam-report/2"}, "has the format 'evitsam-report/2'; expected 'evitsam-report/1'"),
        ({"schema": None}, "is not a report; expected 'evitsam-report/1'"),
        ({"stages": []}, "stages: "),
        ({"runs": [{"start_ms": 0}]}, "runs.0: 'picture' is a required property"),
        ({"stages": [{"name": "a", "clock": "sun", "samples_ms": [1]}]}, "stages.0.clock: 'sun'"),
        (
            {"stages": [{"name": "a", "clock": "host", "samples_ms": [1]}]},
            "stage 'a' has 1 samples; expected 2",
        ),
        ({"ceilings": [{"name": "a", "unit": "b", "how": "c", "samples": [0]}]}, "ceilings.0.samples.0: 0"),
    ],
)
def test_an_invalid_report_is_rejected_with_its_name(made_up, tmp_path, change, text):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(as_json(made_up({"encoder": [1.0, 2.0]})) | change))
    with pytest.raises(ReportError) as caught:
        read_report(path)
    assert "other.json" in str(caught.value) and text in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1, 2]", "no json", '{"schema": 1}'])
def test_a_file_that_is_no_report_is_rejected(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ReportError, match=r"other\.json"):
        read_report(path)


def test_a_file_that_cannot_be_written_is_named(made_up, tmp_path):
    with pytest.raises(ReportError, match="nowhere"):
        write_report(made_up({"encoder": [1.0]}), tmp_path / "nowhere" / "report.json")


def test_a_profile_of_the_format_before_is_read(made_up, tmp_path):
    report, path = made_up({"encoder": [1.0, 2.0]}), tmp_path / "old.json"
    content = as_json(report) | {"schema": "evitsam-profile/1"}
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in ("parts", "failed")}))
    assert read_report(path) == report
