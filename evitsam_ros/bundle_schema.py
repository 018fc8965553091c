# SPDX-License-Identifier: Apache-2.0
"""What ``model.yaml`` of a promptable bundle may hold, as a JSON schema."""

from __future__ import annotations

from typing import Any

#: Of a bundle's description; 2 has high-resolution features, which software for 1 does not pass on. 3 is of
#: another kind than ``promptable``, see :mod:`~evitsam_ros.dense_bundle`.
FORMATS = (1, 2)
#: What else the encoder gives the decoders, of strides 4 and 8; named as SAM 2 names them.
HIGH_RES = ("high_res_feats_0", "high_res_feats_1")
NETWORKS = ("encoder", "decoder", "proposals", "foveal_decoder")

NUMBERS3 = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}


def described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Return a schema with a description, which the reference of the documentation shows."""
    return {**schema, "description": description}


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
            {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
            "channels, height and width of the embedding",
        ),
        "mask_size": described(
            {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
            "height and width of the low-res logits",
        ),
        "high_res_feats": {
            "description": "shapes of the high-resolution features of strides 4 and 8",
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
            "minItems": len(HIGH_RES),
            "maxItems": len(HIGH_RES),
        },
        "mean": described(NUMBERS3, MEAN_TEXT),
        "std": described(NUMBERS3, STD_TEXT),
        **OPTIONAL,
        "decoder_form": described({"type": "string"}, "form of the decoder's graph; see evitsam export"),
        "thresholds": described(
            {"type": "object", "additionalProperties": {"type": "number"}},
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
