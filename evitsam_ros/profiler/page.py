# SPDX-License-Identifier: Apache-2.0
"""Make pages of reports and comparisons: self-contained HTML by Jinja, with charts by matplotlib.

Both libraries are extras that a robot does not need; they are imported when a page is made.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .compare import Comparison, Row, side
from .report import NOT_REPORTED, Report, Stage
from .stages import TOTAL
from .statistics import best
from .table import COLUMNS, JITTER, figure_cells, milliseconds, percent, show_value

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES = Path(__file__).with_name("templates")
LIBRARIES = ("jinja2", "matplotlib")


def check_libraries() -> None:
    """Raise ``ImportError`` naming the libraries of the pages that are missing."""
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        packages = " ".join(f"python3-{name}" for name in missing)
        raise ImportError(
            f"an HTML page needs {' and '.join(missing)}: pip install {' '.join(missing)}, "
            f"or apt install {packages}",
            name=missing[0],
        )


def write_page(page: str, path: Path) -> None:
    """Write a page; raise ``ValueError`` if the file cannot be written."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error}") from error


def _render(template: str, **values: Any) -> str:
    check_libraries()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["fact_rows"] = _fact_rows
    style = (TEMPLATES / "style.css").read_text()
    return environment.get_template(template).render(style=style, **values)


def report_page(report: Report) -> str:
    """Return the page of a profile or of a benchmark.

    Raises:
        ImportError: jinja2 or matplotlib is missing.
    """
    check_libraries()
    cpu = report.machine.get("GPU") or report.machine.get("CPU") or NOT_REPORTED
    values: dict[str, Any] = {"title": "benchmark", "heading": "Benchmark", "charts": {}}
    about = [cpu, report.date]
    if report.stages:
        from . import charts

        name = report.model["name"]
        values |= {"title": f"{name}, profile", "heading": f"{name}: where every millisecond goes"}
        runs = f"{len(report.runs)} runs after {report.settings['warmup']} to warm up"
        about = [runs, _sizes(report), *about]
        values["charts"] = {
            "waterfall": charts.waterfall(report),
            "percentiles": charts.stage_percentiles(report),
            "timeline": charts.timeline(report),
        }
        values |= {"stage_colours": charts.legend(report), "cards": _cards(report)}
        values |= {"stage_rows": _stage_rows(report), "peak_rates": _peak_rates(report)}
        values |= {"throughput": _throughput(report), "columns": list(COLUMNS), "jitter": JITTER}
    suites = [
        (
            name,
            [figure_cells(figure) for figure in suite.figures],
            [[ratio.title, f"{ratio.value:.3g}", ratio.better] for ratio in suite.ratios],
        )
        for name, suite in report.suites.items()
    ]
    values |= {"report": report, "subtitle": ", ".join(about), "suites": suites}
    return _render("report.html", fact_groups=_fact_groups(report), **values)


def comparison_page(result: Comparison, a: Report, b: Report, names: tuple[str, str]) -> str:
    """Return the page of two reports.

    Raises:
        ImportError: jinja2 or matplotlib is missing.
    """
    check_libraries()
    from . import charts
    from .inline_svg import PLACEHOLDERS

    frames = [("A", a.stage(TOTAL), PLACEHOLDERS["c0"]), ("B", b.stage(TOTAL), PLACEHOLDERS["c1"])]
    curves = [(letter, stage.samples_ms, colour) for letter, stage, colour in frames if stage]
    drawn = {
        "ratios": charts.ratios(result.rows, name="ratios"),
        "machine": charts.ratios(result.machine, name="machine") if result.machine else "",
        "frames": charts.percentiles(curves, name="frames") if curves else "",
    }
    both = zip("AB", names, (a, b), strict=True)
    return _render(
        "comparison.html",
        title="Two reports compared",
        heading=f"{b.model.get('name', 'Benchmark')}: B against A",
        subtitles=[f"{letter}: {name}, {len(r.runs)} runs, {r.date}" for letter, name, r in both],
        result=result,
        how="paired: the same images in the same order" if result.paired else "not paired",
        charts=drawn,
        not_reported=NOT_REPORTED,
        rows=[(row, _row_cells(row)) for row in result.rows],
        changed=[[name, side(one), side(other)] for name, one, other in result.differences],
    )


def _sizes(report: Report) -> str:
    images = report.settings["pictures"]
    sizes = sorted({f"{w} x {h}" for w, h in (image["size"] for image in images)})
    return f"{len(images)} image{'s' if len(images) > 1 else ''} of {', '.join(sizes)}"


def _cards(report: Report) -> list[tuple[str, str]]:
    encoder, frame = (cast("Stage", report.stage(name)) for name in ("encoder", TOTAL))
    figures = report.figures(frame)
    return [
        (f"{milliseconds(figures['p50'])} ms", "whole frame, median"),
        (f"{milliseconds(figures['p99'])} ms", "whole frame, p99"),
        (f"{1e3 / figures['mean']:.2f} /s", "frames, one after the other"),
        (percent(encoder.lower_bound_ratio) or "-", "lower bound / median of the encoder"),
    ]


def _stage_rows(report: Report) -> list[list[str]]:
    rows = []
    for stage in report.stages:
        figures = report.figures(stage)
        lower_bound = "" if stage.lower_bound_ms is None else milliseconds(stage.lower_bound_ms)
        macs = f"{stage.macs / 1e9:.3g}" if stage.macs else ""
        moved = f"{stage.bytes / 1e6:.3g}" if stage.bytes else ""
        times = [milliseconds(figures[column]) for column in COLUMNS]
        rows.append([stage.key, *times, lower_bound, percent(stage.lower_bound_ratio), macs, moved])
    return rows


def _peak_rates(report: Report) -> str:
    values = "; ".join(f"{c.name} {best(c.samples):.1f} {c.unit} ({c.how})" for c in report.peak_rates)
    return f"Peak rates, best tenth: {values}. Above 100 %: from a cache, or computed in less than float32."


def _throughput(report: Report) -> list[str]:
    return [
        f"Encoder, batch {entry.batch}: "
        + (entry.problem or f"{entry.images_per_s:.2f} images/s (median of {entry.calls} calls)")
        for entry in report.throughput
    ]


def _fact_groups(report: Report) -> list[tuple[str, Mapping[str, object]]]:
    groups = [
        ("Machine", report.machine),
        ("During the runs", report.watched),
        ("Resident memory", {f"{name}, MiB": value for name, value in report.memory.items()}),
        ("Made by", report.made_by),
        ("Model", {name: value for name, value in report.model.items() if name != "networks"}),
        ("Networks", report.model.get("networks", {})),
        ("Images", {p["name"]: p["sha256"] for p in report.settings.get("pictures", ())}),
    ]
    return [(title, facts) for title, facts in groups if facts]


def _fact_rows(facts: Mapping[str, object]) -> list[list[str]]:
    """Return the known facts, and the names of the unknown ones in one row."""
    known = [[name, show_value(value)] for name, value in facts.items() if value not in (None, "", {})]
    missing = [name for name, value in facts.items() if value is None]
    return known + ([[NOT_REPORTED, "; ".join(missing)]] if missing else [])


def _row_cells(row: Row) -> list[str]:
    cells = [row.stage, milliseconds(row.a_ms), milliseconds(row.b_ms)]
    r = row.ratio
    return cells + ([f"{r.value:.3f}", f"{r.low:.3f} to {r.high:.3f}"] if r else ["-", "-"])
