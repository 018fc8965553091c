# SPDX-License-Identifier: Apache-2.0
"""Build any model of the package by its name, with or without a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from .auto_ppn import AutoPPN
from .lite_vit import LiteViT
from .pool_former import POOLFORMER, PoolFormerEncoder
from .sam import Sam
from .sam_family import our_state, sam_encoder
from .specs import ModelSpec, model_spec

if TYPE_CHECKING:
    from .backbone_encoder import BackboneEncoder
    from .network_specs import NetworkSpec

#: Hidden width of the two-way transformer's MLP that the published 4.2 M of Lite-SAM imply.
LITE_SAM_DECODER_MLP = 1024
#: Where a checkpoint shows the width of its decoder's MLP, that its AutoPPN has a convolution as stem, and
#: that its boxes have a prior.
DECODER_MLP, CONV_STEM = "mask_decoder.transformer.layers.0.mlp.lin1.weight", "auto_ppn.stem.weight"
BOX_PRIOR = "box_prior.height"
#: Where the checkpoint of a ``timm`` encoder shows that it has high-resolution features, that these have the
#: context of a top-down path, how its neck gathers stride 4, and whether the norms of the neck are folded.
HIGH_RES, TOP_DOWN = "image_encoder.high_res.0.weight", "image_encoder.top_down.output4.weight"
LATERAL, FOLDED_LATERAL = "image_encoder.neck.laterals.0.0.weight", "image_encoder.neck.laterals.0.weight"


def create_model(
    name: str,
    checkpoint: str | Path | None = None,
    *,
    decoder_mlp: int | None = None,
    auto_ppn: bool | None = None,
    ppn_stem: str | None = None,
    box_prior: bool | None = None,
    image_size: int | None = None,
    backbone_weights: str | Path | None = None,
    high_res: bool | None = None,
    gather: str | None = None,
    top_down: bool | None = None,
    lite_vit: str | None = None,
) -> Sam:
    """Build a model in evaluation mode.

    Options that are not given are as in the checkpoint; without one, as the model is published.

    Args:
        name: a registry name, see :func:`~evitsam_ros.models.specs.list_models`.
        checkpoint: ``.pt``/``.pth`` (never unpickled beyond tensors) or ``.safetensors``, with official names
            or ours; random weights without one.
        decoder_mlp: hidden width of the decoder's MLP: 2048 in EfficientViT-SAM, 1024 in Lite-SAM (2048 lets
            Lite-SAM start from SAM's heads).
        auto_ppn: with AutoPPN or without. With one, a checkpoint that has none leaves it at random.
        ppn_stem: AutoPPN's stem, ``mspm`` or ``conv``.
        box_prior: whether a box starts as a rounded one, see :mod:`~evitsam_ros.models.box_prior`. A
            checkpoint without one can be given one: it starts untrained.
        image_size: side of the input in pixels, where it is not the published one.
        backbone_weights: pretrained weights of a ``timm`` backbone without a checkpoint, see
            :func:`.timm_backbone.pretrained_weights`; random without.
        high_res: high-res features of a ``timm`` encoder, see :class:`.backbone_encoder.BackboneEncoder`.
        gather: the same, reduction of strides 4 and 8.
        top_down: the same, context for the features. A checkpoint without it can be given it.
        lite_vit: a row of Lite-SAM's table 1 in place of LiteViT: ``poolformer_s12``, or a name of
            :data:`.lite_vit_steps.LAYOUTS`.

    Raises:
        ValueError: the name is unknown, or the checkpoint is not one of this model, or not finite.
    """
    spec = model_spec(name)
    if image_size is not None:
        spec = spec.at(image_size)
    state = read_checkpoint(checkpoint) if checkpoint is not None else {}
    has_ppn = any(key.startswith("auto_ppn.") for key in state) or spec.has_proposals
    proposals = None
    if has_ppn if auto_ppn is None else auto_ppn:
        proposals = AutoPPN(stem=ppn_stem or ("conv" if CONV_STEM in state else "mspm"))
    hidden = state[DECODER_MLP].shape[0] if DECODER_MLP in state else _decoder_mlp(spec)
    prior = BOX_PRIOR in state if box_prior is None else box_prior
    if spec.family == "backbone_sam":
        built = _backbone_encoder(spec, state, backbone_weights, high_res, gather, top_down)
        encoder: torch.nn.Module = built
        if not len(built.high_res):
            spec = replace(spec, high_res=())
    else:
        encoder = _encoder(spec, lite_vit)
    model = Sam(spec, encoder, decoder_mlp or hidden, proposals, prior)
    if checkpoint is not None:
        state = our_state(encoder, state)
        added = ["auto_ppn."] * bool(auto_ppn) + ["box_prior."] * bool(box_prior)
        added += ["image_encoder.top_down."] * bool(top_down)
        for prefix in added:
            if not any(key.startswith(prefix) for key in state):
                state |= {key: value for key, value in model.state_dict().items() if key.startswith(prefix)}
        load_strictly(model, state, checkpoint)
    return model.eval()


def _encoder(spec: ModelSpec, lite_vit: str | None) -> torch.nn.Module:
    if lite_vit is not None and spec.family != "lite_sam":
        raise ValueError(f"lite_vit={lite_vit!r} is for lite_sam, not for {spec.name}")
    size = spec.name.removeprefix(spec.family).lstrip("_")
    if spec.is_sam_family:
        return sam_encoder(spec)
    if spec.family == "lite_sam":
        return PoolFormerEncoder() if lite_vit == POOLFORMER else LiteViT(lite_vit or size or "x1")
    from .efficientvit import build_encoder

    return build_encoder(size)


def _backbone_encoder(
    spec: ModelSpec,
    state: dict[str, Tensor],
    weights: str | Path | None,
    high_res: bool | None,
    gather: str | None,
    top_down: bool | None,
) -> BackboneEncoder:
    """Build the encoder of a ``timm`` backbone; options that are not given are as in the checkpoint's
    ``state``.
    """
    from .backbone_encoder import BackboneEncoder
    from .timm_backbone import pretrained_weights

    if high_res is None:
        high_res = not state or HIGH_RES in state
    if top_down is None:
        top_down = not state or TOP_DOWN in state
    pretrained = pretrained_weights(spec.backbone, weights) if weights is not None and not state else None
    encoder = BackboneEncoder(spec.backbone, pretrained, high_res, gather or "space_to_depth", top_down)
    folded, lateral = FOLDED_LATERAL in state, state.get(FOLDED_LATERAL, state.get(LATERAL))
    if gather is None and lateral is not None and lateral.shape[1] == encoder.backbone.channels[0]:
        encoder = BackboneEncoder(spec.backbone, None, high_res, "pool", top_down)
    return encoder.eval().fold_() if folded else encoder


def _decoder_mlp(spec: ModelSpec) -> int:
    stock = spec.family == "efficientvit_sam" or spec.is_sam_family
    return 2048 if stock else LITE_SAM_DECODER_MLP


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, possibly nested under ``state_dict``.

    Raises:
        ValueError: the file is missing, truncated, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"checkpoint {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read: expected a .safetensors file, or a .pt file with only "
            f"tensors ({error})"
        ) from error
    while isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"checkpoint {path} holds no state dict: expected names and tensors")
    return state


def load_strictly(model: torch.nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """Load a state dict into a model that has a ``spec``; every key and shape has to match.

    Raises:
        ValueError: the message names file, model and differences, or the tensors that are not finite.
    """
    broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if broken:
        raise ValueError(
            f"checkpoint {path} holds infinite values or NaN in {', '.join(broken[:3])}"
            f"{f' and {len(broken) - 3} more' if len(broken) > 3 else ''}; expected finite weights"
        )
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        name = cast("ModelSpec | NetworkSpec", model.spec).name
        lines = " ".join(str(error).split())
        raise ValueError(f"checkpoint {path} is not one of {name}: {lines[:600]}") from error
