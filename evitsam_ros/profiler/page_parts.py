# SPDX-License-Identifier: Apache-2.0
"""What pages are made of: complete in themselves, nothing is loaded, nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from .style import STYLE
from .svg import element


def write_page(page: str, path: Path) -> None:
    """Raises ``ValueError`` where the file cannot be written."""
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error}") from error


def page(title: str, body: Sequence[str]) -> str:
    """The whole document."""
    head = element("title", escape(title)) + element("style", STYLE)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' + head
    inner = element("head", head) + element("body", element("main", "\n".join(body)))
    return "<!doctype html>\n" + element("html", inner, lang="en") + "\n"


def section(title: str, said: str, *parts: str) -> str:
    """A titled frame around parts, with a sentence on what they show."""
    return element("section", "\n".join([element("h2", escape(title)), soft(said) if said else "", *parts]))


def soft(said: str) -> str:
    """A paragraph that does not shout."""
    return element("p", escape(said), class_="soft")


def key_of(entries: Sequence[tuple[str, str]]) -> str:
    """Which colour is what: name and class of each."""
    return element("div", "".join(_key(*entry) for entry in entries), class_="legend")


def _key(name: str, class_: str) -> str:
    return element("span", element("i", class_=class_) + escape(name))


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]], class_: str | None = None) -> str:
    """A table of text; ``class_``: of its cells."""
    top = element("tr", "".join(element("th", escape(c), class_="left" if class_ else None) for c in head))
    lines = [element("tr", "".join(element("td", escape(c), class_=class_) for c in row)) for row in rows]
    return element("table", top + "".join(lines))
