# SPDX-License-Identifier: Apache-2.0
"""The links of the Markdown files of the repository, and where the site has these files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
#: Files outside of docs/ that are pages of the site -> their place in it.
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security_policy.md",
    "examples/README.md": "examples.md",
    "requirements/README.md": "environments.md",
    "training/README.md": "training.md",
    "engines/efficientnet_sam_lite2/MODEL_CARD.md": "model_cards/efficientnet_sam_lite2.md",
    "engines/lite_sam/MODEL_CARD.md": "model_cards/lite_sam.md",
}
_CODE = re.compile(r"^ *(```|~~~).*?^ *\1 *$|(?<!`)(`+)(?!`).+?(?<!`)\2(?!`)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


@dataclass(frozen=True)
class Link:
    """A relative link of a file.

    Attributes:
        source: the file, below the root.
        text: what is shown.
        target: as written.
        path: its file or folder below the root; the file itself for an anchor alone.
        anchor: of a heading; empty: none.
        is_image: whether it is an image.
    """

    source: str
    text: str
    target: str
    path: str
    anchor: str
    is_image: bool

    def fault(self, root: Path = ROOT) -> str:
        """Return why it cannot be followed; empty: it can."""
        file = root / self.path
        if self.path.startswith("..") or not file.exists():
            return f"{self.source}: {self.target}: {self.path} does not exist"
        if self.anchor and file.suffix == ".md" and self.anchor not in anchors(file.read_text()):
            return f"{self.source}: {self.target}: {self.path} has no heading with this anchor"
        return ""


def links(source: str, text: str) -> Iterator[Link]:
    """Yield the relative links of a file's text; those in code are none."""
    for found in _LINK.finditer(_CODE.sub(_blank, text)):
        if (link := _link(source, found)) is not None:
            yield link


def replace_links(source: str, text: str, replacement: Callable[[Link], str]) -> str:
    """Return a text with every relative link replaced."""
    parts, end = [], 0
    for found in _LINK.finditer(_CODE.sub(_blank, text)):
        if (link := _link(source, found)) is not None:
            link = _link(source, _LINK.match(text, found.start()) or found) or link
            parts += [text[end : found.start()], replacement(link)]
            end = found.end()
    return "".join([*parts, text[end:]])


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub and the site make them."""
    without_code = re.sub(r"^ *(```|~~~).*?^ *\1 *$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#{1,6} +(.+?) *#*$", without_code, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in plain}


def _link(source: str, found: re.Match[str]) -> Link | None:
    mark, text, target = found.groups()
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    resolved = os.path.normpath(Path(source).parent / path) if path else source
    return Link(source, text, target, resolved, anchor, is_image=bool(mark))


def _blank(code: re.Match[str]) -> str:
    """Replace code by as many characters that are no link."""
    return re.sub(r"[^\n]", "x", code.group())
