# SPDX-License-Identifier: Apache-2.0
"""Two profiles compared, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .charts import percentile_plot
from .compare import Comparison, Row, side
from .forest import forest
from .page_parts import page, section, soft, table_of
from .report import NOT_TOLD, Report
from .stages import FRAME
from .svg import element
from .table import milliseconds


def comparison_page(result: Comparison, a: Report, b: Report, names: tuple[str, str]) -> str:
    """The page of two profiles."""
    how = "paired: the same pictures in the same order" if result.paired else "not paired"
    frames = [("A", a.stage(FRAME), "c0"), ("B", b.stage(FRAME), "c1")]
    curves = [(letter, stage.samples_ms, class_) for letter, stage, class_ in frames if stage]
    changed = [[name, side(one), side(other)] for name, one, other in result.differences]
    body = [
        element("h1", escape(f"{b.model['name']}: B against A")),
        *(
            soft(f"{letter}: {name}, {len(r.runs)} runs, {r.date}")
            for letter, name, r in zip("AB", names, (a, b), strict=True)
        ),
        *(element("div", escape(f"{which}: {text}"), class_="warning") for which, text in result.warnings),
        section(
            "B / A",
            f"Ratio of medians with its 95 % interval (bootstrap of blocks of neighbouring runs, {how}); "
            "below 1 B is faster. Of equal stages one in twenty is called different by chance.",
            forest(result.rows),
        ),
        section(
            "The machine itself",
            "A matrix product and a copy in the same minutes: where these differ, the machine did.",
            forest(result.machine) if result.machine else soft(NOT_TOLD),
        ),
        section("Whole frame, percentiles", "", percentile_plot(curves) if curves else soft(NOT_TOLD)),
        section("Figures", "", _figures(result.rows)),
        section(
            "What else differs",
            "",
            table_of(["", "A", "B"], changed, "wrap") if changed else soft("Nothing."),
        ),
    ]
    return page("Two profiles compared", body)


def _figures(rows: Sequence[Row]) -> str:
    lines = [
        element("tr", "".join(element("th", c) for c in ("stage", "A, ms", "B, ms", "B / A", "95 %", "B is")))
    ]
    for row in rows:
        cells = [row.stage, milliseconds(row.a_ms), milliseconds(row.b_ms)]
        r = row.ratio
        cells += [f"{r.value:.3f}", f"{r.low:.3f} to {r.high:.3f}"] if r else ["-", "-"]
        class_ = row.verdict if row.verdict in ("faster", "slower") else None
        inner = "".join(element("td", escape(c)) for c in cells) + element("td", row.verdict, class_=class_)
        lines.append(element("tr", inner))
    return element("table", "".join(lines))
