# SPDX-License-Identifier: Apache-2.0
"""Bundles of the kinds ``semantic`` and ``upscale``: one network that reads an image of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..bundle import (
    DENSE_NETWORK,
    DESCRIPTION,
    Bundle,
    BundleError,
    BundleFiles,
    bundle_kind,
    open_bundle,
    open_files,
)
from ..bundle_schema import (
    MEAN_TEXT,
    NETWORK_SCHEMA,
    NUMBERS3,
    OPTIONAL,
    POSITIVE3,
    SCHEMA,
    STD_TEXT,
    described,
)
from .class_tables import ClassTable

if TYPE_CHECKING:
    from pathlib import Path

#: Of the descriptions of these kinds.
FORMAT = 3

_COLOUR = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 255},
    "minItems": 3,
    "maxItems": 3,
}
_CLASS = {
    "type": "object",
    "required": ["name", "colour"],
    "properties": {"name": {"type": "string", "minLength": 1}, "colour": _COLOUR},
}
_SIDES = {"type": "array", "items": {"type": "integer", "minimum": 32}, "minItems": 2, "maxItems": 2}


def _schema(kind: str, **further: dict[str, Any]) -> dict[str, Any]:
    common = {
        "format": described({"enum": [FORMAT]}, "version of the format"),
        "kind": described({"enum": [kind]}, "kind of the bundle"),
        "name": described({"type": "string", "minLength": 1}, "name of the model"),
        "networks": {
            "description": "the network",
            "type": "object",
            "required": [DENSE_NETWORK],
            "additionalProperties": False,
            "properties": {DENSE_NETWORK: NETWORK_SCHEMA},
        },
        "input_size": described(_SIDES, "height and width in pixels of the image that the network reads"),
        "mean": described(NUMBERS3, MEAN_TEXT),
        "std": described(POSITIVE3, STD_TEXT),
        **further,
    }
    return {"type": "object", "required": list(common), "properties": {**common, **OPTIONAL}}


SCHEMAS = {
    "semantic": _schema(
        "semantic",
        stride=described({"type": "integer", "minimum": 1}, "pixels of the input, each way, to a cell"),
        classes=described(
            {"type": "array", "items": _CLASS, "minItems": 1, "maxItems": 254},
            "name and colour (red, green, blue) of each class, in the order of the logits",
        ),
    ),
    "upscale": _schema(
        "upscale",
        scale=described({"enum": [2]}, "pixels of the output, each way, to a pixel of the input"),
        overlap=described(
            {"type": "integer", "minimum": 0}, "pixels at the border of a tile that its neighbour replaces"
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class SemanticBundle(BundleFiles):
    """An opened and checked semantic bundle.

    Attributes:
        input_size: (H, W) in pixels of the image that the network reads.
        stride: pixels of the input, each way, to a cell of the logits.
        classes: in the order of the logits.
    """

    input_size: tuple[int, int]
    stride: int
    classes: ClassTable


@dataclass(frozen=True, kw_only=True)
class UpscaleBundle(BundleFiles):
    """An opened and checked bundle for super-resolution.

    Attributes:
        input_size: (H, W) in pixels of the tile that the network reads.
        scale: pixels of the output, each way, to a pixel of the input.
        overlap: pixels at a tile's border of which the neighbouring tile's answer is taken.
    """

    input_size: tuple[int, int]
    scale: int
    overlap: int


#: A bundle whose one network has a value for every pixel; and one of any kind.
DenseBundle = SemanticBundle | UpscaleBundle
AnyBundle = Bundle | DenseBundle


def open_any_bundle(name_or_folder: str | Path) -> BundleFiles:
    """Find, read and check a bundle of any kind.

    Raises:
        BundleError: naming the file and the fault.
    """
    return open_files(name_or_folder, {"promptable": SCHEMA, **SCHEMAS})


def open_by_kind(name_or_folder: str | Path) -> AnyBundle:
    """Find, read and check a bundle of any kind, including the entries of its kind.

    Raises:
        BundleError: naming the file and the fault.
    """
    kind = bundle_kind(name_or_folder)
    if kind == "semantic":
        return open_semantic(name_or_folder)
    return open_upscale(name_or_folder) if kind == "upscale" else open_bundle(name_or_folder)


def open_semantic(name_or_folder: str | Path) -> SemanticBundle:
    """Find, read and check a semantic bundle.

    Raises:
        BundleError: the message names the file and its fault, or the kind of the bundle.
    """
    files = open_files(name_or_folder, {"semantic": SCHEMAS["semantic"]})
    entries = files.description["classes"]
    classes = ClassTable(
        tuple(entry["name"] for entry in entries), tuple(tuple(entry["colour"]) for entry in entries)
    )
    size, stride = tuple(files.description["input_size"]), files.description["stride"]
    return SemanticBundle(**vars(files), input_size=size, stride=stride, classes=classes)


def open_upscale(name_or_folder: str | Path) -> UpscaleBundle:
    """Find, read and check a bundle for super-resolution.

    Raises:
        BundleError: the message names the file and its fault, or the kind of the bundle.
    """
    files = open_files(name_or_folder, {"upscale": SCHEMAS["upscale"]})
    entries = {name: files.description[name] for name in ("scale", "overlap")}
    size = tuple(files.description["input_size"])
    if 2 * entries["overlap"] >= min(size):
        raise BundleError(
            f"{files.folder / DESCRIPTION}: overlap: {entries['overlap']} leaves no pixel of a tile of "
            f"{size[0]}x{size[1]}; expected less than half of its shorter side"
        )
    return UpscaleBundle(**vars(files), input_size=size, **entries)
