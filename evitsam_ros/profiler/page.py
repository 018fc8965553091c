# SPDX-License-Identifier: Apache-2.0
"""A profile as a page."""

from __future__ import annotations

from html import escape

from .charts import legend, stage_percentiles, timeline, waterfall
from .figures import best
from .page_parts import key_of, page, section, soft, table_of
from .report import NOT_TOLD, Report
from .stages import FRAME
from .svg import element
from .table import COLUMNS, JITTER, milliseconds, percent, show_value


def report_page(report: Report) -> str:
    """The page of one profile."""
    runs = f"{len(report.runs)} runs after {report.settings['warmup']} to warm up"
    cpu = report.machine.get("GPU") or report.machine.get("CPU") or NOT_TOLD
    body = [
        element("h1", escape(f"{report.model['name']}: where every millisecond goes")),
        soft(f"{runs}, {_sizes(report)}, {cpu}, {report.date}"),
        *(element("div", escape(text), class_="warning") for text in report.warnings),
        _cards(report),
        section(
            "A frame, stage by stage",
            "Median of each stage, one after the other: JPEG bytes in, label map's message out, everything "
            "mode. The strong part is the floor: the stage's multiply-adds and bytes at this machine's own "
            "ceilings.",
            key_of([("median", "bar"), ("floor", "floor")]),
            waterfall(report),
        ),
        section(
            "Percentiles", "How bad the bad frames are, and whose fault it is.", stage_percentiles(report)
        ),
        section("Run by run", "Every frame, in order.", key_of(legend(report)), timeline(report)),
        section("Figures", f"Milliseconds. {JITTER}", _stage_table(report), _ceilings(report)),
        section("To repeat it", "", element("pre", element("code", escape(report.command)))),
        _facts(report),
    ]
    return page(f"{report.model['name']}, profile", body)


def _sizes(report: Report) -> str:
    pictures = report.settings["pictures"]
    sizes = sorted({f"{w} x {h}" for w, h in (picture["size"] for picture in pictures)})
    return f"{len(pictures)} picture{'s' if len(pictures) > 1 else ''} of {', '.join(sizes)}"


def _cards(report: Report) -> str:
    frame, encoder = report.stage(FRAME), report.stage("encoder")
    figures = report.figures(frame)
    shown = [
        (f"{milliseconds(figures['p50'])} ms", "whole frame, median"),
        (f"{milliseconds(figures['p99'])} ms", "whole frame, p99"),
        (f"{1e3 / figures['mean']:.2f} /s", "frames, one after the other"),
        (percent(encoder.of_floor) or "-", "floor / median of the encoder"),
    ]
    cards = [
        element("div", element("b", escape(v)) + element("span", escape(n)), class_="card") for v, n in shown
    ]
    return element("div", "".join(cards), class_="cards")


def _stage_table(report: Report) -> str:
    rows = []
    for stage in report.stages:
        figures = report.figures(stage)
        floor = "" if stage.floor_ms is None else milliseconds(stage.floor_ms)
        macs = f"{stage.macs / 1e9:.3g}" if stage.macs else ""
        moved = f"{stage.bytes / 1e6:.3g}" if stage.bytes else ""
        rows.append(
            [
                stage.key,
                *(milliseconds(figures[c]) for c in COLUMNS),
                floor,
                percent(stage.of_floor),
                macs,
                moved,
            ]
        )
    return table_of(["stage", *COLUMNS, "floor", "of it", "GMAC", "MB"], rows)


def _ceilings(report: Report) -> str:
    said = "; ".join(f"{c.name} {best(c.samples):.1f} {c.unit} ({c.how})" for c in report.ceilings)
    lines = [
        soft(
            f"Ceilings, best tenth: {said}. More than 100 %: it came out of a cache, or in less than float32."
        )
    ]
    for entry in report.throughput:
        told = entry.problem or f"{entry.images_per_s:.2f} images/s (median of {entry.calls} calls)"
        lines.append(soft(f"Encoder, batch {entry.batch}: {told}"))
    return "".join(lines)


def _facts(report: Report) -> str:
    model = {name: value for name, value in report.model.items() if name != "networks"}
    memory = {f"{name}, MiB": value for name, value in report.memory.items()}
    pictures = {p["name"]: p["sha256"] for p in report.settings["pictures"]}
    groups = (
        ("Machine", report.machine),
        ("During the runs", report.watched),
        ("Resident memory", memory),
        ("Made by", report.made_by),
        ("Model", model),
        ("Networks", report.model["networks"]),
        ("Pictures", pictures),
    )
    parts = [element("div", element("h2", t) + _fact_table(f)) for t, f in groups]
    return element("section", element("div", "".join(parts), class_="facts"))


def _fact_table(facts: dict[str, object]) -> str:
    """What is told, and in one row what is not."""
    known = [[name, show_value(value)] for name, value in facts.items() if value not in (None, "", {})]
    missing = [name for name, value in facts.items() if value is None]
    return table_of(["", ""], known + ([[NOT_TOLD, "; ".join(missing)]] if missing else []), "wrap")
