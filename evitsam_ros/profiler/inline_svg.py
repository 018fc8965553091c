# SPDX-License-Identifier: Apache-2.0
"""Turn a matplotlib figure into self-contained SVG, coloured by the page's style, with tooltips."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

#: Names of the page's colours -> the colours that stand for them while matplotlib draws.
PLACEHOLDERS = {
    name: f"#fe01{number:02x}"
    for number, name in enumerate(
        [*(f"c{n}" for n in range(8)), "ink", "soft", "line", "pale", "accent", "faster", "slower"]
    )
}
INK, MUTED, LINE = (PLACEHOLDERS[name] for name in ("ink", "soft", "line"))
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "grid.color": LINE,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
}
#: Width of every chart in inches; the page scales it.
WIDTH = 10.8
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_TIP = "tip: "


def set_tip(artist: Artist, text: str) -> None:
    """Show ``text`` while the mouse is over an artist."""
    artist.set_gid(_TIP + text)


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """Return the ``<svg>`` element of a figure.

    Args:
        figure: drawn with the colours of :data:`PLACEHOLDERS` and within ``rc_context(STYLE)``.
        name: unique in the page; it begins every id.
        label: description of the chart for screen readers.
    """
    written = StringIO()
    figure.savefig(written, format="svg", metadata=_NO_METADATA, transparent=True)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="tip: ([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    for colour, placeholder in PLACEHOLDERS.items():
        svg = svg.replace(placeholder, f"var(--{colour})")
    # The page decides on the size; the view box keeps the proportions.
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*"', r"<svg\1", svg)
    svg = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)
