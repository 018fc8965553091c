# SPDX-License-Identifier: Apache-2.0
"""Define the JSON schema of a promptable bundle's ``model.yaml``."""

from __future__ import annotations

import math
from typing import Any

import jsonschema

#: Of a bundle's description; 2 has high-resolution features, which software for 1 does not pass on. 3 is of
#: another kind than ``promptable``, see :mod:`~evitsam_ros.dense_bundle`.
FORMATS = (1, 2)
#: Further outputs of the encoder for the decoders, of strides 4 and 8, by their names in SAM 2.
HIGH_RES = ("high_res_feats_0", "high_res_feats_1")
NETWORKS = ("encoder", "decoder", "proposals", "foveal_decoder")
#: Entries whose numbers have to be finite; YAML has NaN and infinity.
_FINITE = ("mean", "std", "thresholds", "expected_iou")
#: Characters of a fault that are shown: it may quote a description of any length.
_MAX_MESSAGE = 300

NUMBERS3 = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
#: Deviations, by which is divided.
POSITIVE3 = {**NUMBERS3, "items": {"type": "number", "exclusiveMinimum": 0}}


def described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Return a schema with a description, which the reference of the documentation shows."""
    return {**schema, "description": description}


_SIDE = {"type": "integer", "minimum": 16}
_LENGTH = {"type": "integer", "minimum": 1}
#: Thresholds of everything mode, by their old and new names.
THRESHOLDS = (
    *("score", "stability", "nms", "heat", "same", "pred_iou_thresh", "stability_score_thresh"),
    *("box_nms_thresh", "objectness_thresh", "proposal_nms_thresh", "min_area", "min_region"),
)
_NAME = {"type": "string", "pattern": r"^\w[\w.-]*$"}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_WEIGHTS = {
    "type": "object",
    "required": ["file", "sha256"],
    "properties": {"file": _NAME, "sha256": _DIGEST},
}
# One file, or several.
_WEIGHT_FILES = {"oneOf": [_WEIGHTS, {"type": "array", "items": _WEIGHTS}]}
#: A network in another precision; software that does not know forms opens the bundle without them.
_FORM = {
    "type": "object",
    "required": ["precision", "file", "sha256"],
    "properties": {
        "precision": described({"enum": ["fp16", "bf16", "int8"]}, "precision of the form"),
        "file": described(
            {"type": "string", "pattern": r"^\w[\w.-]*\.(onnx|xml)$"}, "file of the form: ONNX or OpenVINO IR"
        ),
        "sha256": described(_DIGEST, "SHA-256 of the file"),
        "weights": described(_WEIGHT_FILES, "files of weights that the form reads, with their hashes"),
        "made": described({"type": "object"}, "how the form was made: tool, version, data"),
        "held_out": {
            "description": "figures of the form and of float32 on images that it was not made with",
            "type": "object",
            "required": ["data", "images", "figures"],
            "properties": {
                "data": {"type": "string"},
                "images": {"type": "integer", "minimum": 1},
                "figures": {"type": "object", "additionalProperties": {"type": "object"}},
            },
        },
    },
}
NETWORK_SCHEMA = {
    "type": "object",
    "required": ["file", "sha256"],
    "properties": {
        "file": described({"type": "string", "pattern": r"^[\w.-]+\.onnx$"}, "ONNX file of the network"),
        "sha256": described(_DIGEST, "SHA-256 of the file"),
        "params": described({"type": "integer"}, "number of parameters"),
        "weights": described(_WEIGHT_FILES, "files of weights that the network reads, with their hashes"),
        "forms": described({"type": "array", "items": _FORM}, "the network in other precisions"),
    },
}
MEAN_TEXT = "mean of red, green and blue, on the scale from 0 to 1"
STD_TEXT = "standard deviation of red, green and blue, on the scale from 0 to 1"
#: Keys that a bundle of any kind may have.
OPTIONAL: dict[str, Any] = {
    "precision": described({"enum": ["fp32", "fp16", "bf16", "int8"]}, "precision of the stored weights"),
    "licence": described({"type": "string"}, "licence of the weights"),
    "weights": described({"type": "object"}, "origin of the weights"),
    "quality": described({"type": "object"}, "figures of the model, with their data"),
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        *("format", "name", "networks", "image_size", "prompt_size", "embedding", "mask_size", "mean", "std")
    ],
    "properties": {
        "format": described({"enum": list(FORMATS)}, "version of the format; 2 has high-resolution features"),
        "kind": described({"enum": ["promptable"]}, "kind of the bundle; without it: promptable"),
        "name": described({"type": "string", "minLength": 1}, "name of the model"),
        "networks": {
            "description": "the networks by name",
            "type": "object",
            "required": ["encoder", "decoder"],
            "additionalProperties": False,
            "properties": dict.fromkeys(NETWORKS, NETWORK_SCHEMA),
        },
        "image_size": described(_SIDE, "side in pixels of the padded square that the encoder takes"),
        "prompt_size": described(_SIDE, "side in pixels of the square of the prompts' coordinates"),
        "embedding": described(
            {"type": "array", "items": _LENGTH, "minItems": 3, "maxItems": 3},
            "channels, height and width of the embedding",
        ),
        "mask_size": described(
            {"type": "array", "items": _LENGTH, "minItems": 2, "maxItems": 2},
            "height and width of the low-res logits",
        ),
        "high_res_feats": {
            "description": "shapes of the high-resolution features of strides 4 and 8",
            "type": "array",
            "items": {"type": "array", "items": _LENGTH, "minItems": 3, "maxItems": 3},
            "minItems": len(HIGH_RES),
            "maxItems": len(HIGH_RES),
        },
        "mean": described(NUMBERS3, MEAN_TEXT),
        "std": described(POSITIVE3, STD_TEXT),
        **OPTIONAL,
        "decoder_form": described({"type": "string"}, "form of the decoder's graph; see evitsam export"),
        "thresholds": described(
            {
                "type": "object",
                "propertyNames": {"enum": list(THRESHOLDS)},
                "additionalProperties": {"type": "number", "minimum": 0},
            },
            "thresholds of everything mode: score, stability, nms, heat, same, min_region",
        ),
        "proposals_as": described(
            {"enum": ["boxes", "points"]},
            "prompt of a proposal: its point, or its point and box",
        ),
        "expected_iou": described(
            {"type": "number", "minimum": 0, "maximum": 1},
            "weight of the expected IoU, from 0 to 1, when the mask of a single point is selected",
        ),
    },
}


def find_fault(description: Any, schema: dict[str, Any]) -> str:
    """Return where a description is wrong, and how, in a line; empty where it is right."""
    try:
        jsonschema.validate(description, schema)
    except jsonschema.ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the file"
        return f"{where}: {error.message[:_MAX_MESSAGE]}"
    for name in _FINITE:
        if not _is_finite(description.get(name)):
            return f"{name}: {description[name]}; expected finite numbers"
    return ""


def _is_finite(value: Any) -> bool:
    """Return whether a number, or all numbers of a list or mapping, are finite."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return all(map(_is_finite, value))
    try:
        return value is None or math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of float
        return False
