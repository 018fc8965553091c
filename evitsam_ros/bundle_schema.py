# SPDX-License-Identifier: Apache-2.0
"""Define the JSON schema of a promptable bundle's ``model.yaml``."""

from __future__ import annotations

from typing import Any

#: Of a bundle's description; 2 has high-resolution features, which software for 1 does not pass on. 3 is of
#: another kind than ``promptable``, see :mod:`~evitsam_ros.dense_bundle`.
FORMATS = (1, 2)
#: Further outputs of the encoder for the decoders, of strides 4 and 8, by their names in SAM 2.
HIGH_RES = ("high_res_feats_0", "high_res_feats_1")
NETWORKS = ("encoder", "decoder", "proposals", "foveal_decoder")

NUMBERS3 = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}
_SIDE = {"type": "integer", "minimum": 16}
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
        "embedding": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
        "mask_size": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        "high_res_feats": {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
            "minItems": len(HIGH_RES),
            "maxItems": len(HIGH_RES),
        },
        "mean": NUMBERS3,
        "std": NUMBERS3,
        "precision": {"enum": ["fp32", "fp16", "bf16", "int8"]},
        "decoder_form": {"type": "string"},
        "licence": {"type": "string"},
        "weights": {"type": "object"},
        "quality": {"type": "object"},
        "thresholds": {"type": "object", "additionalProperties": {"type": "number"}},
        "proposals_as": {"enum": ["boxes", "points"]},
        "expected_iou": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
