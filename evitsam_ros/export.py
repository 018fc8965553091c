# SPDX-License-Identifier: Apache-2.0
"""Checkpoint -> bundle: three ONNX files and the description that a robot checks them against.

Opset 20 keeps GELU one node. Networks are exported in deployed form: LiteViT and AutoPPN folded, the
decoder in the form that runs fastest, images, prompts and points dynamic, no shape tensors.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import torch
import yaml
from torch import nn

from .bundle import CHECKPOINT, DESCRIPTION, FORMATS, HIGH_RES, open_bundle, sha256
from .bundle_folder import new_bundle
from .models import create_model
from .models.decoder_rewrites import DeployedDecoder, Form
from .models.foveal_decoder import FovealDecoder
from .stored_weights import SMALL, save_checkpoint, share_weights, store_as_fp16
from .tensorrt.onnx_types import element_types

if TYPE_CHECKING:
    from .models.sam import Sam

OPSET = 20

_BATCH = {0: "prompts", 1: "points"}
#: Axes of any length, by network.
DYNAMIC = {
    "encoder": {
        "image": {0: "images"},
        "image_embeddings": {0: "images"},
        **{name: {0: "images"} for name in HIGH_RES},
    },
    "decoder": {
        "point_coords": _BATCH,
        "point_labels": _BATCH,
        "mask_input": {0: "masks"},
        "has_mask_input": {0: "masks"},
        "low_res_masks": {0: "prompts"},
        "iou_predictions": {0: "prompts"},
    },
    "proposals": {},
    "foveal_decoder": {
        "point_coords": _BATCH,
        "point_labels": _BATCH,
        "cells": {0: "prompts", 1: "cells"},
        "foveal_masks": {0: "prompts", 2: "fine_cells"},
        "iou_predictions": {0: "prompts"},
    },
}


def export_bundle(
    model: Sam,
    out: Path,
    *,
    storage: str = "fp32",
    decoder_form: Form = "folded",
    with_weights: bool = False,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Write a bundle atomically.

    Args:
        model: with its trained weights.
        out: the bundle's folder, or a link to it. An old bundle there is replaced; files that are not
            its own, and its checkpoint, are kept.
        storage: ``fp32``, or ``fp16`` to halve the files (weights are rounded, arithmetic stays float32).
        decoder_form: see :mod:`~evitsam_ros.models.decoder_rewrites`.
        with_weights: also write ``model.safetensors``, for fine-tuning and the torch backend.
        extra: further entries of the description (licence, weights, quality, thresholds, proposals_as,
            expected_iou).

    Raises:
        ValueError: ``storage`` is unknown, or ``out`` is a file, or a folder that is not a bundle.
    """
    check_storage(storage)
    with new_bundle(out) as folder:
        _write(model, folder, storage, decoder_form, with_weights=with_weights, extra=extra or {})
        open_bundle(folder)  # before it takes the place of an old one
    return Path(out)


def check_storage(storage: str) -> None:
    """Raise ``ValueError`` unless ``storage`` is one that weights can be stored in."""
    if storage not in ("fp32", "fp16"):
        raise ValueError(f"storage {storage!r} is unknown; expected fp32 or fp16")


def _write(
    model: Sam, folder: Path, storage: str, decoder_form: Form, *, with_weights: bool, extra: dict[str, Any]
) -> None:
    if with_weights:
        save_checkpoint(model, folder / CHECKPOINT, storage)
    deployed = model.deploy()
    networks = {}
    for name, (module, inputs, input_names, output_names) in _networks(deployed, decoder_form).items():
        path = folder / f"{name}.onnx"
        write_network(module, inputs, input_names, output_names, DYNAMIC[name], path, storage)
        networks[name] = {"file": path.name, "params": sum(p.numel() for p in module.parameters())}
    files = {name: folder / entry["file"] for name, entry in networks.items()}
    for name, read in share_weights(files, folder / CHECKPOINT).items():
        networks[name]["weights"] = [{"file": path.name, "sha256": sha256(path)} for path in read]
    for entry in networks.values():
        entry["sha256"] = sha256(folder / entry["file"])
    spec = model.spec
    description = {
        "format": FORMATS[1] if spec.high_res else FORMATS[0],
        "name": spec.name,
        "networks": networks,
        "image_size": spec.image_size,
        "prompt_size": spec.prompt_size,
        "embedding": list(spec.embedding),
        "mask_size": list(spec.mask_size),
        **({"high_res_feats": [list(shape) for shape in spec.high_res]} if spec.high_res else {}),
        "mean": [round(v, 9) for v in spec.mean],
        "std": [round(v, 9) for v in spec.std],
        "precision": "fp32",
        "decoder_form": decoder_form,
        "with_weights": with_weights,
        **extra,
    }
    (folder / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=100))


def _networks(model: Sam, decoder_form: Form) -> dict[str, tuple]:
    spec = model.spec
    channels, height, width = spec.embedding
    image = torch.zeros(1, 3, spec.image_size, spec.image_size)
    embedding = torch.randn(1, channels, height, width)
    prompts = (
        embedding,
        torch.rand(2, 3, 2) * spec.prompt_size,
        torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]),
        torch.zeros(2, 1, *spec.mask_size),
        torch.zeros(2),
    )
    high_res = tuple(torch.randn(1, *shape) for shape in spec.high_res)
    further = list(HIGH_RES[: len(high_res)])
    names = ["image_embeddings", *list(DYNAMIC["decoder"])[:4], *further]
    networks = {
        "encoder": (model.image_encoder, (image,), ["image"], ["image_embeddings", *further]),
        "decoder": (
            DeployedDecoder(model, decoder_form).eval(),
            (*prompts, *high_res),
            names,
            ["low_res_masks", "iou_predictions"],
        ),
    }
    if model.auto_ppn is not None:
        networks["proposals"] = (model.auto_ppn, (embedding,), ["image_embeddings"], ["heat", "boxes"])
    if model.auto_ppn is not None or spec.is_sam_family:
        # Everything mode has many prompts: the foveal decoder reads only the cells near their points.
        networks["foveal_decoder"] = (
            FovealDecoder(model).eval(),
            (*prompts[:3], torch.zeros(2, 4, dtype=torch.int32), *high_res),
            ["image_embeddings", *list(DYNAMIC["foveal_decoder"])[:3], *further],
            ["foveal_masks", "iou_predictions"],
        )
    return networks


def write_network(
    module: nn.Module,
    inputs: tuple,
    input_names: list[str],
    output_names: list[str],
    dynamic: dict[str, dict[int, str]],
    path: Path,
    storage: str,
) -> None:
    """Trace a module and write it as ONNX, with weights stored in the precision ``storage``."""
    _export(module, inputs, input_names, output_names, dynamic, path)
    _drop_idle_casts(path)
    _share_constants(path)
    if storage == "fp16":
        store_as_fp16(path)


def _export(
    module: nn.Module,
    inputs: tuple,
    input_names: list[str],
    output_names: list[str],
    dynamic: dict[str, dict[int, str]],
    path: Path,
) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=input_names,
            output_names=output_names,
            dynamic_axes={n: axes for n, axes in dynamic.items() if n in (*input_names, *output_names)},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)


def _drop_idle_casts(path: Path) -> None:
    """Remove casts of float32 to float32, which islands of half-precision models leave in a float32 trace."""
    model = onnx.load(str(path))
    types = element_types(model)
    outputs = {value.name for value in model.graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type != "Cast" or types.get(node.input[0]) != types.get(node.output[0]):
            kept.append(node)
        elif node.output[0] in outputs:
            renamed[node.input[0]] = node.output[0]
        else:
            renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
    for node in kept:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, str(path))


def _share_constants(path: Path) -> None:
    """Make large Constant nodes initializers, equal ones once (the exporter repeats the positions)."""
    model = onnx.load(str(path))
    known: dict[tuple[bytes, tuple[int, ...]], str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        values = [a.t for a in node.attribute if a.name == "value"] if node.op_type == "Constant" else []
        if not values or len(values[0].raw_data) < SMALL:
            kept.append(node)
            continue
        name = known.setdefault((values[0].raw_data, tuple(values[0].dims)), node.output[0])
        renamed[node.output[0]] = name
        if name == node.output[0]:
            values[0].name = name
            model.graph.initializer.append(values[0])
    for node in kept:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, str(path))


def export(
    name: str,
    checkpoint: Path | None,
    out: Path,
    *,
    box_prior: bool | None = None,
    image_size: int | None = None,
    **options: Any,
) -> Path:
    """Build a model, load a checkpoint if one is given, and write its bundle."""
    torch.manual_seed(0)
    model = create_model(name, checkpoint, box_prior=box_prior, image_size=image_size)
    if checkpoint is not None and model.spec.is_official:
        options["extra"] = {"licence": model.spec.licence, **(options.get("extra") or {})}
    return export_bundle(model, out, **options)
