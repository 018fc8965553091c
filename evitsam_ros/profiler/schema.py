# SPDX-License-Identifier: Apache-2.0
"""Profiles as JSON, ``evitsam-profile/1``: written with their figures, read back and checked."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jsonschema

from .report import Ceiling, Report, Run, Stage, Throughput

#: Name and version; the version changes when an old reader would go wrong.
NAME, VERSION = "evitsam-profile", 1
ID = f"{NAME}/{VERSION}"


class ReportError(ValueError):
    """A file that is no profile, or one of another version."""


_SAMPLES = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_RATES = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1}
_COUNT = {"type": ["number", "null"], "minimum": 0}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


_TEXT, _MAPPING = {"type": "string"}, {"type": "object"}
_STAGE = _object(
    {"name": _TEXT, "clock": {"enum": ["host", "device"]}, "samples_ms": _SAMPLES},
    macs=_COUNT,
    bytes=_COUNT,
    floor_ms=_COUNT,
    figures=_MAPPING,
)
_PICTURE = _object({"name": _TEXT, "sha256": _TEXT, "size": _list({"type": "integer"}, 2)})
SCHEMA: dict[str, Any] = _object(
    {
        "schema": {"const": ID},
        "command": _TEXT,
        "date": _TEXT,
        "made_by": _MAPPING,
        "machine": _MAPPING,
        "model": _object({"name": _TEXT, "networks": _MAPPING}),
        "settings": _object({"runs": {"type": "integer", "minimum": 1}, "pictures": _list(_PICTURE, 1)}),
        "stages": _list(_STAGE, 1),
        "ceilings": _list(_object({"name": _TEXT, "unit": _TEXT, "how": _TEXT, "samples": _RATES})),
        "throughput": _list(
            _object({"batch": {"type": "integer"}, "images_per_s": _COUNT, "calls": {"type": "integer"}})
        ),
        "memory": _MAPPING,
        "watched": _MAPPING,
        "runs": _list(
            _object({"start_ms": {"type": "number"}, "picture": {"type": "integer", "minimum": 0}}), 1
        ),
    }
)


def as_json(report: Report) -> dict[str, Any]:
    """The report, with the figures of each stage for those who do not want to work them out."""
    content = {"schema": ID, **asdict(report)}
    for entry, stage in zip(content["stages"], report.stages, strict=True):
        entry["figures"] = report.figures(stage)
    return content


def write_report(report: Report, path: Path) -> None:
    """Raises ``ReportError`` where the file cannot be written."""
    try:
        path.write_text(json.dumps(as_json(report), indent=1))
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error}") from error


def read_report(path: Path) -> Report:
    """Read a profile and check it.

    Raises:
        ReportError: naming the file, the entry and what was expected.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read as JSON: {error}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != ID:
        said = f"is of {found!r}" if found else "is no profile"
        raise ReportError(f"{path} {said}; expected {ID!r}, as 'evitsam profile --json' writes it")
    try:
        jsonschema.validate(content, SCHEMA)
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        raise ReportError(f"{path}: {where}: {error.message}") from error
    report = _from_json(content)
    runs = len(report.runs)
    for stage in report.stages:
        if len(stage.samples_ms) != runs:
            raise ReportError(
                f"{path}: stage {stage.key!r} has {len(stage.samples_ms)} samples; expected {runs}, one a run"
            )
    return report


def _from_json(content: dict[str, Any]) -> Report:
    kinds = {"stages": Stage, "ceilings": Ceiling, "throughput": Throughput, "runs": Run}
    values = {entry.name: content[entry.name] for entry in fields(Report)}
    for name, kind in kinds.items():
        known = {entry.name for entry in fields(kind)}
        values[name] = [
            kind(**{key: value for key, value in entry.items() if key in known}) for entry in content[name]
        ]
    return Report(**values)
