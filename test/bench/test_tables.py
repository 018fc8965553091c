# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/benchmarks.md into a copy."""

import pytest

from bench.ratio_table import BenchError, RatioTable, entry_of
from bench.tables import BEGIN, END, PAGE, main, processor_range, write_tables
from evitsam_ros.profiler.measurements import MORE, Figure, Ratio, Suite
from evitsam_ros.profiler.schema import write_report

from .conftest import made_up


def test_only_the_text_between_the_markers_is_replaced(tmp_path):
    copy, run = tmp_path / "benchmarks.md", tmp_path / "bench.json"
    text = PAGE.read_text()
    copy.write_text(text)
    write_report(made_up(), run)
    for _ in range(2):  # writing it again changes nothing
        assert main([str(run), str(copy)]) == 0
    written = copy.read_text()
    assert written.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert written.partition(END)[2] == text.partition(END)[2]
    between = written.partition(BEGIN)[2].partition(END)[0]
    assert "2026-11-21, commit 0123456789ab; OpenVINO 1.2" in between
    assert "| encoder | 100 ms | 50.0 ms |" in between
    assert "| 720p raw | 5.00 ms | 8.60 ms | 4.00 ms | 2.00 ms |  |" in between
    assert "| at most 5 ms | 4 ms | met |" in between
    assert "`make bench` on a CPU (AuthenticAMD family 25 model 17, 2 cores, avx2 avx512f)" in between


def test_a_speed_up_has_its_range_over_processors_lower_end_first():
    key = "networks/encoder/openvino: speed"
    run, faster = made_up(), made_up(networks=4.5, machine=made_up().machine | {"CPU": "another CPU"})
    table = RatioTable((entry_of([faster]), entry_of([made_up(networks=9.0)])))
    assert processor_range(run, table, key) == "2 to 4.5 (2 entries)"
    assert processor_range(run, RatioTable(), key) == "2 (1 entry)"
    assert processor_range(run, table, "missing") == ""


def test_every_row_of_a_table_has_as_many_cells_as_its_header(tmp_path):
    copy = tmp_path / "benchmarks.md"
    copy.write_text(f"{BEGIN}\n{END}\n")
    write_tables(made_up(), copy, RatioTable())
    for block in copy.read_text().split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1, rows


def test_each_model_of_the_family_has_a_row(tmp_path):
    def figure(name: str, ms: float) -> Figure:
        return Figure(f"family/mobile_sam/box/{name}", "", "ms", [ms])

    ratios = [
        Ratio(f"family/mobile_sam/box{suffix}: speed", "", [value], MORE)
        for suffix, value in (("", 8.0), (", float32", 4.0))
    ]
    suite = Suite(
        [figure("openvino", 50.0), figure("openvino_bf16", 25.0), figure("reference", 200.0)], ratios
    )
    copy = tmp_path / "README.md"
    copy.write_text(f"{BEGIN}\n{END}\n")
    run = made_up(suites={"family": suite})
    write_tables(run, copy, RatioTable((entry_of([run]),)))
    row = next(line for line in copy.read_text().splitlines() if line.startswith("| `mobile_sam`"))
    assert row == "| `mobile_sam` | 50.0 ms | 25.0 ms | 200 ms | 8 | 4 | 8 (1 entry) |"


@pytest.mark.parametrize("text", ["nothing", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{BEGIN}\n{END}\n"])
def test_a_file_without_markers_is_rejected_and_unchanged(tmp_path, text):
    copy = tmp_path / "benchmarks.md"
    copy.write_text(text)
    with pytest.raises(BenchError, match="bench:begin"):
        write_tables(made_up(), copy, RatioTable())
    assert copy.read_text() == text
