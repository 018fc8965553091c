# SPDX-License-Identifier: Apache-2.0
"""Report results of several seeds as a table with their spread: Markdown, JSON and a plot."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: Columns that do not depend on the seed and do not measure quality.
COSTS = ("parameters, M", "GMAC")
#: Largest over smallest cost from which on an axis is logarithmic.
WIDE = 20


@dataclass(frozen=True)
class Spread:
    """Hold one measure of one row: mean, minimum, maximum and values over the seeds."""

    mean: float
    minimum: float
    maximum: float
    values: tuple[float, ...]

    def overlaps(self, other: Spread) -> bool:
        """Return whether the ranges of two rows have a value in common."""
        return self.minimum <= other.maximum and other.minimum <= self.maximum


#: By row, then by column.
Spreads = dict[str, dict[str, Spread]]


def spreads(results: dict[str, list[dict[str, float]]]) -> Spreads:
    """Summarise the results of each row's seeds by column."""
    return {
        row: {
            column: _spread([result[column] for result in seeds])
            for column in seeds[0]
            if all(column in result for result in seeds)
        }
        for row, seeds in results.items()
    }


def _spread(values: list[float]) -> Spread:
    return Spread(sum(values) / len(values), min(values), max(values), tuple(values))


def markdown(title: str, rows: Spreads) -> str:
    """Format the table, followed by the rows that do not differ from the best one."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [f"{title}. Mean (min to max of the seeds).", ""]
    lines += ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_cell(column, row.get(column)) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    verdicts = [verdict(column, rows) for column in columns if column not in COSTS]
    return "\n".join([*lines, "", *(f"- {line}" for line in verdicts)]) + "\n"


def _cell(column: str, spread: Spread | None) -> str:
    if spread is None:
        return ""
    if column in COSTS:
        return f"{spread.mean:.2f}"
    return f"{spread.mean:.3f} ({spread.minimum:.3f} to {spread.maximum:.3f})"


def verdict(column: str, rows: Spreads) -> str:
    """State the row with the highest mean, and the rows that differ from it by less than the spread."""
    measured = {name: row[column] for name, row in rows.items() if column in row}
    best = max(measured, key=lambda name: measured[name].mean)
    inside = [n for n, s in measured.items() if n != best and s.overlaps(measured[best])]
    outside = [n for n, s in measured.items() if n != best and not s.overlaps(measured[best])]
    parts = [f"{column}: highest mean {best}"]
    if inside:
        parts.append(f"difference inside the spread: {', '.join(inside)}")
    if outside:
        parts.append(f"lower by more than the spread: {', '.join(outside)}")
    return "; ".join(parts)


def write_report(title: str, rows: Spreads, folder: Path) -> str:
    """Write ``table.md``, ``.json`` and ``.png`` and ``costs.png`` into a folder; return the Markdown."""
    text = markdown(title, rows)
    content = {name: {column: asdict(s) for column, s in row.items()} for name, row in rows.items()}
    (folder / "table.json").write_text(json.dumps({"title": title, "rows": content}, indent=1))
    (folder / "table.md").write_text(text)
    plot(title, rows, folder / "table.png")
    plot_costs(title, rows, folder / "costs.png")
    return text


def check_plotting() -> None:
    """Raise ``ValueError`` unless matplotlib is installed."""
    if find_spec("matplotlib") is None:
        raise ValueError("the plot needs matplotlib: pip install -r requirements/page.txt")


def plot(title: str, rows: Spreads, file: Path) -> None:
    """Draw one panel per measure: each row's range, mean and seeds."""
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(c for row in rows.values() for c in row if c not in COSTS))
    figure = Figure(figsize=(3 + 3 * len(columns), 1.5 + 0.35 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    names = list(rows)
    for panel, column in zip(panels, columns, strict=True):
        for place, name in enumerate(names):
            if column not in rows[name]:
                continue
            spread = rows[name][column]
            panel.plot([spread.minimum, spread.maximum], [place, place], color="0.6", linewidth=4)
            panel.plot(spread.values, [place] * len(spread.values), "o", color="0.3", markersize=3)
            panel.plot(spread.mean, place, "|", color="tab:red", markersize=12)
        panel.set_xlabel(column)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, dpi=150)


def plot_costs(title: str, rows: Spreads, file: Path, costs: Sequence[str] = COSTS) -> None:
    """Draw each measure over each cost, as in figure 1 of Lite-SAM: mean and spread of each row.

    Args:
        title: above the panels.
        rows: to draw; other columns than costs are measures.
        file: image to write.
        costs: columns. The axis of one that spans a factor of :data:`WIDE` is logarithmic.
    """
    from matplotlib.figure import Figure

    measures = list(dict.fromkeys(c for row in rows.values() for c in row if c not in costs))
    size = (4.5 * len(costs), 3 * len(measures))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(measures), len(costs), sharey="row", squeeze=False)
    for line, measure in zip(panels, measures, strict=True):
        for panel, cost in zip(line, costs, strict=True):
            drawn = {name: row for name, row in rows.items() if measure in row and cost in row}
            for name, row in drawn.items():
                x, y = row[cost], row[measure]
                panel.plot([x.mean, x.mean], [y.minimum, y.maximum], color="0.6")
                panel.plot([x.minimum, x.maximum], [y.mean, y.mean], color="0.6")
                panel.plot(x.mean, y.mean, "o", markersize=4)
                panel.annotate(name, (x.mean, y.mean), fontsize=6, xytext=(3, 3), textcoords="offset points")
            values = [row[cost].mean for row in drawn.values()]
            if values and max(values) > WIDE * min(values) > 0:
                panel.set_xscale("log")
            panel.set_xlabel(cost)
            panel.grid(alpha=0.3)
        line[0].set_ylabel(measure)
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, dpi=150)
