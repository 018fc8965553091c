# SPDX-License-Identifier: Apache-2.0
"""Read the sentences of a Markdown file: paragraphs, list items and table cells, without code."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_MEAN_WORDS, MAX_WORDS = 18, 35
BANNED = re.compile(r"\b(told|said|anew|whose|nobody)\b", re.IGNORECASE)
#: "What fails is counted": a clause as a subject, at the start of a statement.
WHAT_AS_SUBJECT = re.compile(r"(?:^|[;:] )what\b(?!.*\?$)", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])[\"')*]*\s+(?=[\"'(*]*[A-Z0-9`])")
_FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.MULTILINE | re.DOTALL)
_NEW_BLOCK = re.compile(r"\s*([-*+] |\d+[.)] |> |!!! |\?\?\? |::: |=== |$)")


@dataclass(frozen=True)
class Sentence:
    """A sentence; ``in_table`` for one of a table's cell."""

    text: str
    in_table: bool

    @property
    def words(self) -> int:
        """Return the number of words; an inline code counts as one."""
        return len(re.findall(r"[\w'\u2019]+(?:[-./][\w'\u2019]+)*", self.text))

    def faults(self) -> list[str]:
        """Return the rules that it breaks."""
        found = [f"the word {word!r}" for word in BANNED.findall(self.text)]
        if WHAT_AS_SUBJECT.search(self.text):
            found.append("'what …' as a subject")
        if self.words > MAX_WORDS:
            found.append(f"{self.words} words")
        return [f"{fault}: {self.text}" for fault in found]


def sentences(markdown: str) -> list[Sentence]:
    """Return the sentences of a text, in their order; headings are none."""
    text = _FENCE.sub("", _COMMENT.sub("", _FRONT_MATTER.sub("", markdown)))
    found: list[Sentence] = []
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        is_row = line.lstrip().startswith("|")
        if is_row or line.startswith("#") or _NEW_BLOCK.match(line):
            found += _split(" ".join(block), in_table=False)
            block = []
        if is_row:
            for cell in re.split(r"(?<!\\)\|", line.strip().strip("|")):
                found += _split(cell, in_table=True)
        elif not line.startswith(("#", "    :", ":::")):
            block.append(re.sub(r"^\s*([-*+] |\d+[.)] |> ?|!!! .*|\?\?\? .*|=== .*)", "", line).strip())
    return found


def mean_words(found: list[Sentence]) -> float:
    """Return the mean length of the sentences outside of tables; 0 without any."""
    lengths = [each.words for each in found if not each.in_table]
    return sum(lengths) / len(lengths) if lengths else 0.0


def _split(block: str, *, in_table: bool) -> list[Sentence]:
    plain = re.sub(r"`+[^`]+`+", "Code", block)
    plain = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", plain)
    plain = re.sub(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])", r"\1", plain)
    plain = re.sub(r"<[^>]+>|\*\*|__", "", plain).strip()
    parts = [part.strip() for part in _END.split(plain)]
    return [Sentence(part, in_table) for part in parts if re.search(r"[A-Za-z]", part)]
