# SPDX-License-Identifier: Apache-2.0
"""What ``model.yaml`` of a promptable bundle may hold, as a JSON schema."""

from __future__ import annotations

import math
from typing import Any

import jsonschema

#: Of a bundle's description; 2 has high-resolution features, which software for 1 does not pass on. 3 is of
#: another kind than ``promptable``, see :mod:`~evitsam_ros.dense_bundle`.
FORMATS = (1, 2)
#: What else the encoder gives the decoders, of strides 4 and 8; named as SAM 2 names them.
HIGH_RES = ("high_res_feats_0", "high_res_feats_1")
NETWORKS = ("encoder", "decoder", "proposals", "foveal_decoder")
#: Entries whose numbers have to be finite; YAML has NaN and infinity.
_FINITE = ("mean", "std", "thresholds", "expected_iou")
#: Characters of a fault that are shown: it may quote a description of any length.
_MAX_MESSAGE = 300

NUMBERS3 = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
#: Deviations, by which is divided.
POSITIVE3 = {**NUMBERS3, "items": {"type": "number", "exclusiveMinimum": 0}}
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
        "precision": {"enum": ["fp16", "bf16", "int8"]},
        "file": {"type": "string", "pattern": r"^\w[\w.-]*\.(onnx|xml)$"},
        "sha256": _DIGEST,
        "weights": _WEIGHT_FILES,
        "made": {"type": "object"},
        "held_out": {
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
        "file": {"type": "string", "pattern": r"^[\w.-]+\.onnx$"},
        "sha256": _DIGEST,
        "params": {"type": "integer"},
        "weights": _WEIGHT_FILES,
        "forms": {"type": "array", "items": _FORM},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        *("format", "name", "networks", "image_size", "prompt_size", "embedding", "mask_size", "mean", "std")
    ],
    "properties": {
        "format": {"enum": list(FORMATS)},
        "kind": {"enum": ["promptable"]},
        "name": {"type": "string", "minLength": 1},
        "networks": {
            "type": "object",
            "required": ["encoder", "decoder"],
            "additionalProperties": False,
            "properties": dict.fromkeys(NETWORKS, NETWORK_SCHEMA),
        },
        "image_size": _SIDE,
        "prompt_size": _SIDE,
        "embedding": {"type": "array", "items": _LENGTH, "minItems": 3, "maxItems": 3},
        "mask_size": {"type": "array", "items": _LENGTH, "minItems": 2, "maxItems": 2},
        "high_res_feats": {
            "type": "array",
            "items": {"type": "array", "items": _LENGTH, "minItems": 3, "maxItems": 3},
            "minItems": len(HIGH_RES),
            "maxItems": len(HIGH_RES),
        },
        "mean": NUMBERS3,
        "std": POSITIVE3,
        "precision": {"enum": ["fp32", "fp16", "bf16", "int8"]},
        "decoder_form": {"type": "string"},
        "licence": {"type": "string"},
        "weights": {"type": "object"},
        "quality": {"type": "object"},
        "thresholds": {
            "type": "object",
            "propertyNames": {"enum": list(THRESHOLDS)},
            "additionalProperties": {"type": "number", "minimum": 0},
        },
        "proposals_as": {"enum": ["boxes", "points"]},
        "expected_iou": {"type": "number", "minimum": 0, "maximum": 1},
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
