# SPDX-License-Identifier: Apache-2.0
"""The page of the messages and services of ``evitsam_interfaces``, from their definitions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .markdown import code, page, sentence, table

PACKAGE = Path(__file__).parents[2] / "interfaces" / "evitsam_interfaces"
INTRODUCTION = """\
The package `evitsam_interfaces` is optional; [Requests](../requests.md) describes how to build and use it.
All other topics have standard types (sensor_msgs, vision_msgs, geometry_msgs, visualization_msgs).
"""
_FIELD = re.compile(r"([\w/]+(?:\[\d*\])?)\s+(\w+)\s*(=?)\s*([^#]*?)\s*(?:#\s*(.*))?$")


@dataclass
class Part:
    """A message, or one half of a service.

    Attributes:
        about: its first comment.
        fields: (type, name, default, comment) of each.
    """

    about: str = ""
    fields: list[tuple[str, str, str, str]] = field(default_factory=list)


def messages_page() -> str:
    """Return the page."""
    messages = [_message(path) for path in sorted((PACKAGE / "msg").glob("*.msg"))]
    services = [_service(path) for path in sorted((PACKAGE / "srv").glob("*.srv"))]
    return page("Messages", INTRODUCTION, *messages, *services)


def _message(path: Path) -> str:
    part = parse(path.read_text())
    return f"## {path.stem}\n\n`evitsam_interfaces/msg/{path.stem}`. {part.about}\n\n{_table(part)}"


def _service(path: Path) -> str:
    request, response = (parse(text) for text in path.read_text().split("\n---\n"))
    title = f"## {path.stem}\n\n`evitsam_interfaces/srv/{path.stem}`. {request.about}"
    return f"{title}\n\n### Request\n\n{_table(request)}\n\n### Response\n\n{_table(response)}"


def parse(text: str) -> Part:
    """Read a definition. A comment before a field is of the field; one before an empty line is of all."""
    part, comment = Part(), []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# "))
            continue
        if not stripped:
            if comment and not part.fields and not part.about:
                part.about = " ".join(comment)
            comment = []
            continue
        found = _FIELD.fullmatch(stripped)
        if found is None:
            raise ValueError(f"{stripped!r}: expected a type and a name")
        kind, name, constant, default, beside = found.groups()
        shown = f"{name} = {default}" if constant else name
        part.fields.append(
            (kind, shown, "" if constant else default, " ".join([*comment, beside or ""]).strip())
        )
        comment = []
    return part


def _table(part: Part) -> str:
    rows = []
    for kind, name, default, comment in part.fields:
        suffix = f" Default: {code(default)}." if default else ""
        rows.append([code(name), code(kind), f"{sentence(comment)}{suffix}".strip()])
    return table(["field", "type", "description"], rows)
