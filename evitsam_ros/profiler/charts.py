# SPDX-License-Identifier: Apache-2.0
"""Draw the charts of the pages by matplotlib: waterfall, percentiles, runs, ratios."""

from __future__ import annotations

from functools import wraps
from math import log10
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .inline_svg import INK, LINE, MUTED, PLACEHOLDERS, STYLE, WIDTH, inline_svg, set_tip
from .stages import STAGES, TOTAL
from .table import milliseconds, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

    from .compare import Row
    from .report import Report, Stage

#: Stages with less than this share of a frame are drawn together.
SMALL = 0.01
#: Number of colours; the last one is for the stages that are drawn together.
COLOURS = 8
OTHERS = "the others"
#: Height of a row, and of a chart of curves or runs, in inches.
ROW, HEIGHT = 0.31, 3.4
#: Bars above which runs are drawn as areas, without tooltips.
MAX_BARS = 4_000
#: Ratios beyond this are drawn at the edge.
MAX_RATIO = 4.0
VERDICT_COLOURS = {"faster": PLACEHOLDERS["faster"], "slower": PLACEHOLDERS["slower"], "cannot tell": MUTED}


def _chart(label: str) -> Callable[[Callable[..., float]], Callable[..., str]]:
    """Make a chart of a function that draws on axes and returns the height in inches."""

    def decorate(draw: Callable[..., float]) -> Callable[..., str]:
        @wraps(draw)
        def chart(*arguments: object, name: str = "") -> str:
            from matplotlib import rc_context
            from matplotlib.figure import Figure

            with rc_context(cast("dict[Any, Any]", STYLE)):
                figure = Figure()
                height = draw(figure.add_subplot(), *arguments)
                figure.set_size_inches(WIDTH, height)
                figure.set_layout_engine("tight")
                return inline_svg(figure, name or draw.__name__, label)

        return chart

    return decorate


def frame_stages(report: Report) -> list[Stage]:
    """Return the stages of a frame, in order."""
    return [stage for name in STAGES if (stage := report.stage(name))]


@_chart("Median time of each stage of a frame, with its lower bound")
def waterfall(axes: Axes, report: Report) -> float:
    """Draw the medians of the stages of a frame one after the other, each with its lower bound."""
    stages = frame_stages(report)
    total = sum(stage.p50 for stage in stages)
    begin = 0.0
    for row, stage in enumerate(stages):
        (bar,) = axes.barh(row, stage.p50, 0.55, begin, color=PLACEHOLDERS["pale"])
        set_tip(bar, f"{stage.name}: median {milliseconds(stage.p50)} ms")
        if stage.lower_bound_ms is not None:
            reached = min(stage.lower_bound_ms, stage.p50)
            (lower_bound,) = axes.barh(row, reached, 0.55, begin, color=PLACEHOLDERS["accent"])
            set_tip(lower_bound, f"lower bound {milliseconds(stage.lower_bound_ms)} ms")
        begin += stage.p50
        axes.annotate(_value(stage, total), (begin, row), (6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(stages)), [stage.name for stage in stages])
    axes.invert_yaxis()
    axes.set_xlim(0, total * 1.3)
    axes.set_xlabel("ms")
    axes.grid(axis="x")
    return ROW * len(stages) + 0.5


def _value(stage: Stage, total: float) -> str:
    text = f"{milliseconds(stage.p50)} ms"
    if stage.lower_bound_ms is None or stage.lower_bound_ratio is None or stage.p50 < SMALL * total:
        return text
    return f"{text}, lower bound {milliseconds(stage.lower_bound_ms)}, {percent(stage.lower_bound_ratio)}"


@_chart("Percentiles of times")
def percentiles(axes: Axes, rows: Sequence[tuple[str, Sequence[float], str]]) -> float:
    """Draw times against percentiles, with a stretched tail; both axes are logarithmic.

    Args:
        axes: to draw on.
        rows: name, samples in milliseconds and colour of each curve.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    shown = [(n, np.maximum(np.sort(np.asarray(s, float)), 1e-3), c) for n, s, c in rows]
    for name, values, colour in sorted(shown, key=lambda row: -row[1][-1]):
        tail = -np.log10(1 - (np.arange(len(values)) + 0.5) / len(values))
        label = f"{name}, max {milliseconds(values[-1])}"
        (line,) = axes.plot(tail, values, color=colour, linewidth=1.6, label=label)
        set_tip(line, name)
    # A stage that takes no time in some runs would stretch the axis down to zero.
    low = min(float(np.median(values)) for _, values, _ in shown) / 20
    axes.set_yscale("log")
    axes.set_ylim(bottom=max(low, min(float(values[0]) for _, values, _ in shown) * 0.9))
    last = -log10(0.5 / max(len(values) for _, values, _ in shown))
    ticks = [share for share in (0, 50, 90, 95, 99, 99.9, 99.99) if -log10(1 - share / 100) <= last]
    axes.set_xticks([-log10(1 - t / 100) for t in ticks], [f"p{t:g}" if t else "min" for t in ticks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("ms")
    axes.grid()
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return HEIGHT


def stage_percentiles(report: Report) -> str:
    """Return the percentiles of a frame and of its large stages."""
    coloured = colours(report)
    rows = [(TOTAL, _frame(report).samples_ms, INK)]
    for stage in frame_stages(report):
        if _is_large(stage, report):
            rows.append((stage.name, stage.samples_ms, PLACEHOLDERS[coloured[stage.name]]))
    return percentiles(rows, name="percentiles")


def _frame(report: Report) -> Stage:
    """Return the frame's total, which every report of a profile has."""
    return cast("Stage", report.stage(TOTAL))


def _is_large(stage: Stage, report: Report) -> bool:
    return stage.p50 >= SMALL * _frame(report).p50


def colours(report: Report) -> dict[str, str]:
    """Return the colour of each stage of a frame; the largest stages have their own."""
    stages = [s for s in frame_stages(report) if max(s.samples_ms) > 0]
    large = sorted((s for s in stages if _is_large(s, report)), key=lambda s: -s.p50)[: COLOURS - 1]
    own = [stage.name for stage in stages if stage in large]
    return {s.name: f"c{own.index(s.name)}" if s.name in own else f"c{COLOURS - 1}" for s in stages}


def legend(report: Report) -> list[tuple[str, str]]:
    """Return name and class of each colour of the timeline."""
    own = [(name, colour) for name, colour in colours(report).items() if colour != f"c{COLOURS - 1}"]
    rest = [(OTHERS, f"c{COLOURS - 1}")] if len(own) < len(colours(report)) else []
    return own + rest


@_chart("Time of every run by stage")
def timeline(axes: Axes, report: Report) -> float:
    """Draw every run as a bar of its stages, with p50 and p99 of the frame."""
    frame, coloured = _frame(report), colours(report)
    stages = [stage for stage in frame_stages(report) if stage.name in coloured]
    numbers = np.arange(1, len(report.runs) + 1)
    if len(stages) * len(numbers) > MAX_BARS:
        fills = [PLACEHOLDERS[coloured[stage.name]] for stage in stages]
        axes.stackplot(numbers, [stage.samples_ms for stage in stages], colors=fills)
    else:
        reached = np.zeros(len(numbers))
        for stage in stages:
            colour = PLACEHOLDERS[coloured[stage.name]]
            bars = axes.bar(numbers, stage.samples_ms, 0.85, reached, color=colour)
            for run, bar in enumerate(bars):
                value, of = milliseconds(stage.samples_ms[run]), milliseconds(frame.samples_ms[run])
                set_tip(bar, f"run {run + 1}, {stage.name}: {value} of {of} ms")
            reached = reached + np.asarray(stage.samples_ms)
    figures = report.figures(frame)
    for name, side in (("p50", "top"), ("p99", "bottom")):
        axes.axhline(figures[name], color=INK, linestyle="--", linewidth=0.8, alpha=0.6)
        place, text = (1.0, figures[name]), f" {name} {milliseconds(figures[name])}"
        axes.annotate(text, place, xycoords=("axes fraction", "data"), va=side, annotation_clip=False)
    axes.set_xlim(0.4, len(numbers) + 0.6)
    cast("MaxNLocator", axes.xaxis.get_major_locator()).set_params(integer=True)
    axes.set_xlabel("run")
    axes.set_ylabel("ms")
    axes.grid(axis="y")
    return HEIGHT


@_chart("Ratio of medians of each stage with its confidence interval")
def ratios(axes: Axes, rows: Sequence[Row]) -> float:
    """Draw a row for each stage: B / A with its 95 % interval, on a logarithmic axis around 1."""
    ends = [v for row in rows if row.ratio for v in (row.ratio.low, row.ratio.high)]
    reach = min(max([1.1, *(max(v, 1 / max(v, 1e-9)) for v in ends)]) * 1.04, MAX_RATIO)
    axes.axvline(1, color=MUTED, linewidth=1.2)
    for number, row in enumerate(rows):
        text = f"{milliseconds(row.a_ms)} -> {milliseconds(row.b_ms)} ms, {row.verdict}"
        if ratio := row.ratio:
            colour = VERDICT_COLOURS[row.verdict]
            low, middle, high = np.clip((ratio.low, ratio.value, ratio.high), 1 / reach, reach)
            axes.plot([low, high], [number, number], color=colour, linewidth=2, solid_capstyle="round")
            (dot,) = axes.plot([middle], [number], "o", color=colour, markersize=6)
            set_tip(dot, f"{row.stage}: {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
            text = f"{ratio.value:.2f}, {text}"
        axes.annotate(
            f"  {text}",
            (1.0, number),
            xycoords=("axes fraction", "data"),
            va="center",
            annotation_clip=False,
        )
    axes.set_xscale("log")
    axes.set_xlim(1 / reach, reach)
    ticks = _ratio_ticks(reach)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [row.stage for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color=LINE)
    return ROW * len(rows) + 0.5


def _ratio_ticks(reach: float) -> list[float]:
    steps = (1.05, 1.1, 1.25, 1.5, 2, 3, 4)
    above = [step for step in steps if step <= reach * 1.001][-3:]
    return [*(round(1 / step, 3) for step in reversed(above)), 1, *above]
