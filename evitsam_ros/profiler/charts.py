# SPDX-License-Identifier: Apache-2.0
"""The pictures of a profile: waterfall of a frame, percentiles, the runs one by one."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import numpy as np

from . import svg
from .report import Report, Stage
from .stages import FRAME, STAGES
from .table import milliseconds, percent

#: Stages of less than this share of a frame are drawn together.
SMALL = 0.01
#: Colours of the style; the last is for what is drawn together.
COLOURS = 8
REST_OF_IT = "the others"
ROW, BAR = 30, 16
LEFT, RIGHT = 176, 250


def frame_stages(report: Report) -> list[Stage]:
    """The parts of a frame, in order."""
    return [stage for name in STAGES if (stage := report.stage(name))]


def waterfall(report: Report) -> str:
    """Medians of the stages of a frame one after the other, and within each its floor."""
    stages = frame_stages(report)
    total = sum(stage.p50 for stage in stages)
    x = svg.scale(0, total, LEFT, svg.WIDTH - RIGHT)
    height = ROW * len(stages)
    parts = [svg.line(x(t), 0, x(t), height) for t in svg.ticks(total)]
    parts += [svg.text(x(t), height + 18, f"{t:g} ms", "tick", "middle") for t in svg.ticks(total)]
    begun = 0.0
    for row, stage in enumerate(stages):
        y = ROW * row + (ROW - BAR) / 2
        tip = f"{stage.name}: median {milliseconds(stage.p50)} ms"
        parts.append(svg.text(LEFT - 12, y + 12, stage.name, "label", "end"))
        parts.append(svg.box(x(begun), y, max(x(stage.p50) - x(0), 1.5), BAR, "bar", tip, 2))
        if stage.floor_ms is not None:
            reached = min(stage.floor_ms, stage.p50)
            width = x(reached) - x(0)
            parts.append(svg.box(x(begun), y, width, BAR, "floor", f"floor {milliseconds(reached)} ms", 2))
        begun += stage.p50
        parts.append(svg.text(max(x(begun), x(0) + 4) + 8, y + 12, _told(stage, total), "value"))
    return svg.drawing(height + 26, parts, "Median time of each stage of a frame, with its floor")


def _told(stage: Stage, total: float) -> str:
    said = f"{milliseconds(stage.p50)} ms"
    if stage.of_floor is None or stage.p50 < SMALL * total:
        return said
    return f"{said}, floor {milliseconds(stage.floor_ms)}, {percent(stage.of_floor)}"


def percentile_plot(rows: Sequence[tuple[str, Sequence[float], str]]) -> str:
    """Times against percentiles, the tail drawn out; both axes logarithmic.

    Args:
        rows: name, samples in milliseconds, class of the line.
    """
    top, bottom, left, right = 12, 330, 64, 270
    runs = max(len(samples) for _, samples, _ in rows)
    shown = [(n, np.maximum(np.sort(np.asarray(s, float)), 1e-3), c) for n, s, c in rows]
    # A stage that does next to nothing at times would stretch the axis down to nothing.
    low = max(
        min(float(values[0]) for _, values, _ in shown) * 0.9,
        min(float(np.median(values)) for _, values, _ in shown) / 20,
    )
    high = max(float(values[-1]) for _, values, _ in shown) * 1.15
    most = -log10(0.5 / runs)
    x = svg.scale(0, most, left, svg.WIDTH - right)
    y = svg.log_scale(low, high, bottom, top)
    parts = []
    for tick in svg.decades(low, high):
        parts += [svg.line(left, y(tick), svg.WIDTH - right, y(tick))]
        parts += [svg.text(left - 8, y(tick) + 4, f"{tick:g}", "tick", "end")]
    for share in (0, 50, 90, 95, 99, 99.9, 99.99):
        place = -log10(1 - share / 100)
        if place <= most:
            parts.append(svg.line(x(place), top, x(place), bottom))
            parts.append(
                svg.text(x(place), bottom + 18, f"p{share:g}" if share else "least", "tick", "middle")
            )
    ends = svg.apart([y(values[-1]) for _, values, _ in shown], 15, top + 4, bottom)
    for (name, values, class_), end in zip(shown, ends, strict=True):
        places = -np.log10(1 - (np.arange(len(values)) + 0.5) / len(values))
        points = [(x(p), y(max(v, low))) for p, v in zip(places, values, strict=True)]
        parts.append(svg.path(points, f"curve {class_}", name))
        parts.append(svg.path([points[-1], (svg.WIDTH - right + 14, end)], f"lead {class_}"))
        said = f"{name}, {milliseconds(values[-1])} at most"
        parts.append(svg.text(svg.WIDTH - right + 18, end + 4, said, "label"))
    parts.append(svg.text(left - 8, top - 2, "ms", "tick", "end"))
    return svg.drawing(bottom + 28, parts, "Percentiles of each stage")


def stage_percentiles(report: Report) -> str:
    """The frame and its stages that matter."""
    frame = report.stage(FRAME)
    coloured = colours(report)
    rows = [(FRAME, frame.samples_ms, "whole")]
    rows += [(s.name, s.samples_ms, coloured[s.name]) for s in frame_stages(report) if _matters(s, report)]
    return percentile_plot(rows)


def _matters(stage: Stage, report: Report) -> bool:
    return stage.p50 >= SMALL * report.stage(FRAME).p50


def colours(report: Report) -> dict[str, str]:
    """The class of each stage of a frame; the largest have a colour of their own."""
    stages = [s for s in frame_stages(report) if max(s.samples_ms) > 0]
    large = sorted((s for s in stages if _matters(s, report)), key=lambda s: -s.p50)[: COLOURS - 1]
    own = [stage.name for stage in stages if stage in large]
    return {s.name: f"c{own.index(s.name)}" if s.name in own else f"c{COLOURS - 1}" for s in stages}


def timeline(report: Report) -> str:
    """Every run as a bar, stacked of its stages, with the median and p99 of the whole frame."""
    top, bottom, left = 12, 270, 64
    stages, coloured = frame_stages(report), colours(report)
    frame = report.stage(FRAME)
    figures = report.figures(frame)
    high = figures["max"] * 1.05
    y = svg.scale(0, high, bottom, top)
    x = svg.scale(0, len(report.runs), left, svg.WIDTH - 90)
    parts = []
    for tick in svg.ticks(high):
        parts += [svg.line(left, y(tick), svg.WIDTH - 90, y(tick))]
        parts += [svg.text(left - 8, y(tick) + 4, f"{tick:g}", "tick", "end")]
    width = x(1) - x(0)
    gap = 1 if width > 4 else 0
    for run in range(len(report.runs)):
        reached = 0.0
        for stage in stages:
            if stage.name not in coloured:
                continue
            value = stage.samples_ms[run]
            of = milliseconds(frame.samples_ms[run])
            tip = f"run {run + 1}, {stage.name}: {milliseconds(value)} of {of} ms"
            parts.append(
                svg.box(
                    x(run),
                    y(reached + value),
                    width - gap,
                    y(reached) - y(reached + value),
                    f"part {coloured[stage.name]}",
                    tip,
                )
            )
            reached += value
    for name, place in zip(("p50", "p99"), _lines(figures, y), strict=True):
        parts.append(svg.line(left, y(figures[name]), svg.WIDTH - 90, y(figures[name]), "mark"))
        parts.append(svg.text(svg.WIDTH - 84, place + 4, f"{name} {milliseconds(figures[name])}", "value"))
    parts.append(svg.text(left - 8, top - 2, "ms", "tick", "end"))
    for run in svg.ticks(len(report.runs)):
        if run and run == int(run):
            parts.append(svg.text(x(run) - width / 2, bottom + 18, f"run {run:g}", "tick", "middle"))
    return svg.drawing(bottom + 26, parts, "Time of every run by stage")


def _lines(figures: dict[str, float], y) -> list[float]:
    return svg.apart([y(figures["p50"]), y(figures["p99"])], 15, 12, 270)


def legend(report: Report) -> list[tuple[str, str]]:
    """Name and class of each colour of the timeline."""
    own = [(name, class_) for name, class_ in colours(report).items() if class_ != f"c{COLOURS - 1}"]
    rest = [(REST_OF_IT, f"c{COLOURS - 1}")] if len(own) < len(colours(report)) else []
    return own + rest
