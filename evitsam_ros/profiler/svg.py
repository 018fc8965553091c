# SPDX-License-Identifier: Apache-2.0
"""The little SVG that the charts need: elements, scales and axes; colours come from the page's style."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

#: Width of every chart in its own units; the page scales it.
WIDTH = 1040


def element(name: str, content: str = "", **attributes: object) -> str:
    """An element; ``_`` in attribute names stands for ``-``, ``class_`` for ``class``."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{content}</{name}>"


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def text(x: float, y: float, said: str, class_: str = "label", anchor: str = "start") -> str:
    return element("text", escape(said), x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "grid") -> str:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str, tip: str = "", r: float = 0) -> str:
    """A rectangle, with what shows when one points at it."""
    inner = element("title", escape(tip)) if tip else ""
    return element(
        "rect",
        inner,
        x=float(x),
        y=float(y),
        width=float(max(width, 0)),
        height=float(height),
        class_=class_,
        rx=r or None,
    )


def path(points: Sequence[tuple[float, float]], class_: str, tip: str = "") -> str:
    """A line through points."""
    drawn = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", element("title", escape(tip)) if tip else "", d=drawn, class_=class_)


def drawing(height: float, parts: Sequence[str], said: str) -> str:
    """A whole chart; ``said``: what it shows, for those who do not see it."""
    return element(
        "svg",
        "\n".join(parts),
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        role="img",
        aria_label=said,
        xmlns="http://www.w3.org/2000/svg",
    )


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Values ``low`` to ``high`` -> places ``start`` to ``end``."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def log_scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The same of logarithms; values are positive."""
    inner = scale(log10(low), log10(high), start, end)
    return lambda value: inner(log10(value))


def ticks(high: float, wanted: int = 5) -> list[float]:
    """Round numbers from 0 to at most ``high``."""
    raw = high / wanted
    power = 10.0 ** floor(log10(raw)) if raw > 0 else 1.0
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= raw)
    return [step * n for n in range(int(high / step + 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten, with twos and fives where they are few, from ``low`` to ``high``."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    parts = (1,) if len(powers) > 4 else (1, 2, 5)
    return [m * 10.0**p for p in powers for m in parts if low <= m * 10.0**p <= high * 1.0001]


def apart(places: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Places moved as little as it takes for them to keep a distance, within bounds where they fit."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [places[i] for i in order]
    for index in range(1, len(moved)):
        moved[index] = max(moved[index], moved[index - 1] + distance)
    over = max(0.0, (moved[-1] if moved else 0.0) - high)
    if over:
        moved[-1] -= over
        for index in range(len(moved) - 2, -1, -1):
            moved[index] = min(moved[index], moved[index + 1] - distance)
    found = [0.0] * len(places)
    for index, place in zip(order, moved, strict=True):
        found[index] = max(place, low)
    return found
