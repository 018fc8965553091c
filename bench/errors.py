# SPDX-License-Identifier: Apache-2.0
"""A run of the benchmark as JSON, ``evitsam-bench/1``: written with its values, read back and checked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonschema

from .figures import LESS, MORE, Figure, Part, Ratio

#: Name and version; the version changes when an old reader would go wrong.
ID = "evitsam-bench/1"


class BenchError(ValueError):
    """A file that is none of the benchmark's, or of another version; or a run that lacks something."""


@dataclass(frozen=True)
class Report:
    """A run.

    Attributes:
        command: repeats it.
        date: UTC, ISO 8601.
        quick: whether it was the short one.
        made_by, machine: as in ``evitsam profile``.
        watched: what the machine did meanwhile.
        found: by part.
        failed: why a part has no figures, by part.
    """

    command: str
    date: str
    quick: bool
    made_by: dict[str, Any]
    machine: dict[str, Any]
    watched: dict[str, Any]
    found: dict[str, Part]
    failed: dict[str, str]

    @property
    def figures(self) -> list[Figure]:
        return [figure for part in self.found.values() for figure in part.figures]

    @property
    def ratios(self) -> list[Ratio]:
        return [ratio for part in self.found.values() for ratio in part.ratios]

    @property
    def notes(self) -> list[str]:
        return [note for part in self.found.values() for note in part.notes]

    def figure(self, key: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.key == key), None)

    def ratio(self, key: str) -> Ratio | None:
        return next((ratio for ratio in self.ratios if ratio.key == key), None)


_NUMBERS = {"type": "array", "items": {"type": "number"}}
_FIGURE = {
    "type": "object",
    "required": ["key", "title", "unit", "samples", "floor", "floor_is", "details"],
    "properties": {"samples": _NUMBERS | {"minItems": 1}, "floor": _NUMBERS},
}
_RATIO = {
    "type": "object",
    "required": ["key", "title", "samples", "better"],
    "properties": {"samples": _NUMBERS | {"minItems": 1}, "better": {"enum": [LESS, MORE]}},
}
_PART = {
    "type": "object",
    "required": ["figures", "ratios", "notes"],
    "properties": {
        "figures": {"type": "array", "items": _FIGURE},
        "ratios": {"type": "array", "items": _RATIO},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        *("schema", "command", "date", "quick", "made_by", "machine", "watched", "found", "failed"),
    ],
    "properties": {
        "schema": {"const": ID},
        "found": {"type": "object", "additionalProperties": _PART},
        "failed": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


def write_report(report: Report, path: Path) -> None:
    """With the median of everything, for those who do not want to work it out."""
    content = {"schema": ID, **asdict(report)}
    for name, part in report.found.items():
        for kind in ("figures", "ratios"):
            for entry, found in zip(content["found"][name][kind], getattr(part, kind), strict=True):
                entry["value"] = found.value
    path.write_text(json.dumps(content, indent=1))


def read_report(path: Path) -> Report:
    """Read a run and check it.

    Raises:
        BenchError: naming the file, the entry and what was expected.
    """
    try:
        content = json.loads(path.read_text())
        jsonschema.validate(content, SCHEMA)
    except (OSError, ValueError) as error:
        raise BenchError(f"{path} cannot be read as JSON: {error}") from error
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        raise BenchError(f"{path}: {where}: {error.message}; expected {ID}") from error
    content.pop("schema")
    content["found"] = {name: as_part(part) for name, part in content["found"].items()}
    return Report(**content)


def as_part(content: dict[str, Any]) -> Part:
    """A part from its JSON."""

    def without_value(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in entry.items() if key != "value"}

    figures = [Figure(**without_value(entry)) for entry in content["figures"]]
    ratios = [Ratio(**without_value(entry)) for entry in content["ratios"]]
    return Part(figures, ratios, content["notes"])
