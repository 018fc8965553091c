# SPDX-License-Identifier: Apache-2.0
"""The README's tables, on a copy."""

import pytest

from bench.gate import BenchError
from bench.readme import BEGIN, END, main, write_readme
from evitsam_ros.profiler.schema import write_report

from ..conftest import ROOT
from .conftest import made_up


def test_what_is_between_the_markers_is_replaced_and_nothing_else(tmp_path):
    copy, run = tmp_path / "README.md", tmp_path / "bench.json"
    text = (ROOT / "README.md").read_text()
    if BEGIN not in text:
        text = text.replace("## Numbers\n", f"## Numbers\n\n{BEGIN}\nold\n{END}\n")
    copy.write_text(text)
    write_report(made_up(), run)
    for _ in range(2):  # writing it again changes nothing
        assert main([str(run), str(copy)]) == 0
    written = copy.read_text()
    assert written.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert written.partition(END)[2] == text.partition(END)[2]
    between = written.partition(BEGIN)[2].partition(END)[0]
    assert "old" not in between and "2026-11-21, commit 0123456789ab; OpenVINO 1.2" in between
    assert "| encoder | 100 ms | 50.0 ms |" in between
    assert "| 720p raw | 5.00 ms | 8.60 ms | 4.00 ms | 2.00 ms |  |" in between
    assert "| at most 5 ms | 4 ms | met |" in between


def test_every_row_of_a_table_has_as_many_cells_as_its_header(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(f"{BEGIN}\n{END}\n")
    write_readme(made_up(), copy)
    for block in copy.read_text().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1, rows


@pytest.mark.parametrize("text", ["nothing", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_file_without_its_markers_is_left_alone(tmp_path, text):
    copy = tmp_path / "README.md"
    copy.write_text(text)
    with pytest.raises(BenchError, match="bench:begin"):
        write_readme(made_up(), copy)
    assert copy.read_text() == text
