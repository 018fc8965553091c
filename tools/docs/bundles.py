# SPDX-License-Identifier: Apache-2.0
"""The page of the bundle format, from the JSON schemas by which ``model.yaml`` is checked."""

from __future__ import annotations

from typing import Any

from evitsam_ros.bundle_schema import NETWORK_SCHEMA, SCHEMA
from evitsam_ros.dense.bundle import SCHEMAS

from .markdown import code, page, sentence, table

INTRODUCTION = """\
A bundle is a folder with `model.yaml`, the ONNX files that it names, and optionally their weights and forms
in other precisions. `evitsam export` writes bundles, `evitsam pack` makes one file of a bundle, and every
entry point opens a bundle by its name or folder. A file is used only if its SHA-256 is the one in
`model.yaml`. No pickle is ever loaded.
"""
KINDS = {
    "promptable": "An image encoder, a mask decoder, and optional proposals (AutoPPN) and a foveal decoder.",
    "semantic": "One network that gives logits of classes for an image of a fixed size.",
    "upscale": "One network that doubles the size of a tile.",
}


def bundle_page() -> str:
    """Return the page."""
    schemas = {"promptable": SCHEMA, **SCHEMAS}
    kinds = [f"## Kind `{kind}`\n\n{about}\n\n{_table(schemas[kind])}" for kind, about in KINDS.items()]
    form = NETWORK_SCHEMA["properties"]["forms"]["items"]
    return page(
        "Bundle format",
        INTRODUCTION,
        *kinds,
        "## A network",
        "Each entry of `networks` has these keys.",
        _table(NETWORK_SCHEMA),
        "## A form of a network",
        "Each entry of `forms` is the network in another precision. Older software ignores forms.",
        _table(form),
    )


def _table(schema: dict[str, Any]) -> str:
    rows = [
        [
            code(name),
            "yes" if name in schema["required"] else "",
            _type(entry),
            sentence(entry.get("description", "")),
        ]
        for name, entry in schema["properties"].items()
    ]
    return table(["key", "required", "value", "description"], rows)


def _type(entry: dict[str, Any]) -> str:
    """Return a schema in a few words."""
    if "enum" in entry:
        return ", ".join(map(code, entry["enum"]))
    if "oneOf" in entry:
        return " or ".join(_type(each) for each in entry["oneOf"])
    kind = entry["type"]
    if kind == "array":
        low, high = entry.get("minItems"), entry.get("maxItems")
        count = (
            f" of {low}" if low is not None and low == high else f" of {low or 0} to {high}" if high else ""
        )
        return f"array{count}: {_type(entry['items'])}"
    if kind == "object" and "additionalProperties" in entry and "properties" in entry:
        return "object with " + ", ".join(code(name) for name in entry["properties"])
    if {"minimum", "maximum"} <= set(entry):
        return f"{kind}, {entry['minimum']} to {entry['maximum']}"
    return f"{kind}, at least {entry['minimum']}" if "minimum" in entry else kind
