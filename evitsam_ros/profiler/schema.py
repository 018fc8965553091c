# SPDX-License-Identifier: Apache-2.0
"""Write reports as JSON, ``evitsam-report/1``, and read and check them.

This is the one format of ``evitsam profile``, ``evitsam bench`` and the project's own benchmark.
"""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import jsonschema

from .measurements import LESS, MORE, Figure, Ratio, Suite
from .report import PeakRate, Report, Run, Stage, Throughput

if TYPE_CHECKING:
    from pathlib import Path

#: Name and version; the version changes when an old reader would go wrong.
ID = "evitsam-report/1"
#: The format of profiles before; it lacks the parts of benchmarks.
OLD_PROFILE = "evitsam-profile/1"
#: Keys of the format that differ from the names of the fields.
JSON_KEYS = {
    "suites": "parts",
    "peak_rates": "ceilings",
    "lower_bound": "floor",
    "lower_bound_name": "floor_is",
    "lower_bound_ms": "floor_ms",
    "image": "picture",
}


class ReportError(ValueError):
    """A file is no report, or one of another version."""


_SAMPLES = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_RATES = {"type": "array", "items": {"type": "number", "exclusiveMinimum": 0}, "minItems": 1}
_COUNT = {"type": ["number", "null"], "minimum": 0}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _list(items: dict[str, Any], min_items: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": min_items}


_TEXT, _MAPPING = {"type": "string"}, {"type": "object"}
_STAGE = _object(
    {"name": _TEXT, "clock": {"enum": ["host", "device"]}, "samples_ms": _SAMPLES},
    macs=_COUNT,
    bytes=_COUNT,
    lower_bound_ms=_COUNT,
    figures=_MAPPING,
)
_IMAGE = _object({"name": _TEXT, "sha256": _TEXT, "size": _list({"type": "integer"}, 2)})
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_FIGURE = _object(
    {
        **{"key": _TEXT, "title": _TEXT, "unit": _TEXT, "samples": _SAMPLES},
        **{"floor": _NUMBERS, "floor_is": _TEXT, "details": _MAPPING},
    }
)
_RATIO = _object({"key": _TEXT, "title": _TEXT, "samples": _SAMPLES, "better": {"enum": [LESS, MORE]}})
_SUITE = _object({"figures": _list(_FIGURE), "ratios": _list(_RATIO), "notes": _list(_TEXT)})
_RUN = _object({"start_ms": {"type": "number"}, "picture": {"type": "integer", "minimum": 0}})
SCHEMA: dict[str, Any] = _object(
    {
        "schema": {"const": ID},
        "command": _TEXT,
        "date": _TEXT,
        "made_by": _MAPPING,
        "machine": _MAPPING,
        "watched": _MAPPING,
        "settings": _MAPPING,
        "model": _MAPPING,
        "stages": _list(_STAGE),
        "ceilings": _list(_object({"name": _TEXT, "unit": _TEXT, "how": _TEXT, "samples": _RATES})),
        "throughput": _list(
            _object({"batch": {"type": "integer"}, "images_per_s": _COUNT, "calls": {"type": "integer"}})
        ),
        "memory": _MAPPING,
        "runs": _list(_RUN),
        "parts": {"type": "object", "additionalProperties": _SUITE},
        "failed": {"type": "object", "additionalProperties": _TEXT},
    }
)
#: Further entries of a report without parts.
PROFILE: dict[str, Any] = _object(
    {
        "stages": {"minItems": 1},
        "runs": {"minItems": 1},
        "model": _object({"name": _TEXT, "networks": _MAPPING}),
        "settings": _object({"runs": {"type": "integer", "minimum": 1}, "pictures": _list(_IMAGE, 1)}),
    }
)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report with the percentiles of each stage and the median of each figure and ratio."""
    content = {"schema": ID, **_encoded(report)}
    for entry, stage in zip(content["stages"], report.stages, strict=True):
        entry["figures"] = report.figures(stage)
    content["parts"] = {name: suite_as_json(suite) for name, suite in report.suites.items()}
    return content


def suite_as_json(suite: Suite) -> dict[str, Any]:
    """Return the suite with the median of each figure and ratio."""
    content = _encoded(suite)
    for kind in ("figures", "ratios"):
        for entry, found in zip(content[kind], getattr(suite, kind), strict=True):
            entry["value"] = found.value
    return content


def _encoded(value: Any) -> Any:
    """Return dataclasses as dictionaries with the keys of the format; everything else as it is."""
    if is_dataclass(value):
        content = {field.name: getattr(value, field.name) for field in fields(value)}
        return {JSON_KEYS.get(name, name): _encoded(entry) for name, entry in content.items()}
    if isinstance(value, list):
        return [_encoded(entry) for entry in value]
    return {key: _encoded(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def write_report(report: Report, path: Path) -> None:
    """Write a report.

    Raises:
        ReportError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(as_json(report), indent=1))
    except OSError as error:
        raise ReportError(f"{path} cannot be written: {error}") from error


def read_report(path: Path) -> Report:
    """Read a report and check it.

    Raises:
        ReportError: the file is no valid report; names the file, the entry and the expectation.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read as JSON: {error}") from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found == OLD_PROFILE:
        content |= {"schema": ID, "parts": {}, "failed": {}}
    elif found != ID:
        problem = f"has the format {found!r}" if found else "is not a report"
        raise ReportError(f"{path} {problem}; expected {ID!r}, as 'evitsam profile --json' writes it")
    try:
        jsonschema.validate(content, SCHEMA)
        if content["stages"] or not (content["parts"] or content["failed"]):
            jsonschema.validate(content, PROFILE)
    except jsonschema.ValidationError as error:
        where = ".".join(str(step) for step in error.absolute_path) or "the file"
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
    kinds = {"stages": Stage, "peak_rates": PeakRate, "throughput": Throughput, "runs": Run}
    values = {entry.name: content[JSON_KEYS.get(entry.name, entry.name)] for entry in fields(Report)}
    for name, kind in kinds.items():
        values[name] = [_known(kind, entry) for entry in values[name]]
    values["suites"] = {name: suite_from_json(suite) for name, suite in content["parts"].items()}
    return Report(**values)


def suite_from_json(content: dict[str, Any]) -> Suite:
    """Return the suite that :func:`as_json` or :func:`suite_as_json` wrote."""
    figures = [_known(Figure, entry) for entry in content["figures"]]
    return Suite(figures, [_known(Ratio, entry) for entry in content["ratios"]], content["notes"])


def _known(kind: type, entry: dict[str, Any]) -> Any:
    """Return a dataclass of an entry, without keys that were added for readers of the JSON."""
    names = {JSON_KEYS.get(field.name, field.name): field.name for field in fields(kind)}
    return kind(**{names[key]: value for key, value in entry.items() if key in names})
