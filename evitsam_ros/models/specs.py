# SPDX-License-Identifier: Apache-2.0
"""What every model of the package is, without torch: names, sizes and published counts."""

from __future__ import annotations

from dataclasses import dataclass

#: SAM's pixel mean and standard deviation, on the 0..1 scale.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)


@dataclass(frozen=True)
class ModelSpec:
    """A model by its numbers.

    Attributes:
        name: registry name.
        family: ``efficientvit_sam`` or ``lite_sam``.
        image_size: side in pixels of the padded square that the encoder takes.
        prompt_size: side in pixels of the square in which prompt coordinates live.
        embedding: (channels, h, w) of the image embedding.
        mask_size: (h, w) of the low-res logits.
        params: parameters of the whole model, as published where a paper gives them.
        macs: multiply-adds of the encoder for one image, likewise.
        has_proposals: whether the model comes with AutoPPN.
        mean, std: normalisation of RGB on the 0..1 scale.
    """

    name: str
    family: str
    image_size: int
    prompt_size: int
    embedding: tuple[int, int, int]
    mask_size: tuple[int, int]
    params: int
    macs: int
    has_proposals: bool
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD


def _efficientvit_sam(size: str, image_size: int, params: float, macs: float) -> ModelSpec:
    # The neck upsamples every size to 64x64, and prompts always live in SAM's 1024 frame.
    return ModelSpec(
        name=f"efficientvit_sam_{size}",
        family="efficientvit_sam",
        image_size=image_size,
        prompt_size=1024,
        embedding=(256, 64, 64),
        mask_size=(256, 256),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        has_proposals=False,
    )


def _lite_sam(name: str, params: float, macs: float) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="lite_sam",
        image_size=640,
        prompt_size=640,
        embedding=(256, 40, 40),
        mask_size=(160, 160),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        has_proposals=True,
    )


#: Slim heads (prompt encoder and mask decoder) plus AutoPPN, in millions of parameters.
_LITE_SAM_HEADS = 3.014 + 0.055

SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _efficientvit_sam("l0", 512, 34.79, 34.7),
        _efficientvit_sam("l1", 512, 47.65, 48.9),
        _efficientvit_sam("l2", 512, 61.33, 68.4),
        _efficientvit_sam("xl0", 1024, 116.96, 184.5),
        _efficientvit_sam("xl1", 1024, 203.35, 321.2),
        _lite_sam("lite_sam", 1.16 + _LITE_SAM_HEADS, 10.9),
        _lite_sam("lite_sam_x2", 2.19 + _LITE_SAM_HEADS, 22.3),
        _lite_sam("lite_sam_x3", 3.63 + _LITE_SAM_HEADS, 38.0),
    )
}


def list_models() -> list[str]:
    """The registry's names, small to large within a family."""
    return list(SPECS)


def model_spec(name: str) -> ModelSpec:
    """Look a model up by its registry name; ``ValueError`` names the choices."""
    try:
        return SPECS[name]
    except KeyError:
        raise ValueError(f"model {name!r} is unknown; expected one of {', '.join(SPECS)}") from None
