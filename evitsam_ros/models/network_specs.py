# SPDX-License-Identifier: Apache-2.0
"""EfficientViT's other networks, without torch: classifiers, semantic segmentation, super-resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .specs import MEAN, STD

Kind = Literal["classify", "semantic", "upscale"]


@dataclass(frozen=True)
class NetworkSpec:
    """Describe a network by its sizes and costs.

    Attributes:
        name: registry name.
        kind: its task.
        backbone: ``b0`` to ``b3``, ``l1`` to ``l3``, or an ablation of ``b0``; empty for super-resolution.
        size: (H, W) of the input in pixels.
        params: parameters, as published where a paper gives them.
        macs: multiply-adds for one image of that size, likewise.
        classes: number of classes; 0 for super-resolution.
        dataset: name of the class table; empty without one.
        stride: pixels of the input, each way, to a value of the output; 0 for one output per image.
        mean, std: normalisation of RGB on the 0..1 scale.
    """

    name: str
    kind: Kind
    backbone: str
    size: tuple[int, int]
    params: int
    macs: int
    classes: int = 0
    dataset: str = ""
    stride: float = 0
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD

    @property
    def is_official(self) -> bool:
        """Whether the authors published it: not for upscalers, CamVid and ablations."""
        return self.kind != "upscale" and self.dataset != "camvid" and "_" not in self.backbone

    @property
    def multiple(self) -> int:
        """Return the required divisor of an input's sides."""
        return 1 if self.kind == "upscale" else 32

    def at(self, size: tuple[int, int]) -> NetworkSpec:
        """Return the same network for another input size; the same weights fit.

        Raises:
            ValueError: a side is too short, or not a multiple of :attr:`multiple`.
        """
        if min(size) < 32 or any(side % self.multiple for side in size):
            raise ValueError(
                f"{self.name}: input {size[0]}x{size[1]} does not fit; expected a height and a width of "
                f"at least 32, multiples of {self.multiple}"
            )
        pixels = size[0] * size[1] / (self.size[0] * self.size[1])
        return replace(self, size=size, macs=round(self.macs * pixels))


def _classifier(backbone: str, params: float, macs: float) -> NetworkSpec:
    return NetworkSpec(
        name=f"efficientvit_cls_{backbone}",
        kind="classify",
        backbone=backbone,
        size=(224, 224),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        classes=1000,
        dataset="imagenet",
    )


#: Classes and input size by data set.
_DATASETS = {"cityscapes": (19, (1024, 2048)), "ade20k": (150, (512, 512)), "camvid": (11, (384, 480))}


def _segmentation(backbone: str, dataset: str, params: float, macs: float) -> NetworkSpec:
    classes, size = _DATASETS[dataset]
    return NetworkSpec(
        name=f"efficientvit_seg_{backbone}_{dataset}",
        kind="semantic",
        backbone=backbone,
        size=size,
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        classes=classes,
        dataset=dataset,
        stride=8,
    )


def _upscaler(name: str, params: float, macs: float) -> NetworkSpec:
    """x2 super-resolution, for tiles; the multiply-adds are those of one tile."""
    return NetworkSpec(
        name,
        "upscale",
        "",
        (128, 128),
        round(params * 1e6),
        round(macs * 1e9),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        stride=0.5,
    )


#: Parameters and multiply-adds are the papers' where they give them (EfficientViT, tables 2 to 4). The B0
#: classifier, the networks for CamVid and super-resolution have no published counts: these are measured.
NETWORK_SPECS: dict[str, NetworkSpec] = {
    spec.name: spec
    for spec in (
        _classifier("b0", 3.41, 0.1),
        _classifier("b1", 9.1, 0.52),
        _classifier("b2", 24.33, 1.6),
        _classifier("b3", 48.65, 4.0),
        _classifier("l1", 52.65, 5.3),
        _classifier("l2", 63.71, 6.95),
        _classifier("l3", 246.04, 27.6),
        _segmentation("b0", "cityscapes", 0.7067, 4.4),
        _segmentation("b1", "cityscapes", 4.8, 25.1),
        _segmentation("b2", "cityscapes", 15.3, 74),
        _segmentation("b3", "cityscapes", 39.6, 179),
        _segmentation("l1", "cityscapes", 40.2, 282),
        _segmentation("l2", "cityscapes", 52.6, 396),
        _segmentation("b1", "ade20k", 4.8, 3.1),
        _segmentation("b2", "ade20k", 15.3, 9.1),
        _segmentation("b3", "ade20k", 39.5, 22.2),
        _segmentation("l1", "ade20k", 40.4, 36.3),
        _segmentation("l2", "ade20k", 51.5, 45.2),
        _segmentation("b0_no_multi_scale", "cityscapes", 0.6851, 4.41),
        _segmentation("b0_no_attention", "cityscapes", 0.6576, 4.36),
        _segmentation("b0_neither", "cityscapes", 0.6007, 4.42),
        _segmentation("b0", "camvid", 0.7057, 0.384),
        _segmentation("b0_no_multi_scale", "camvid", 0.684, 0.386),
        _segmentation("b0_no_attention", "camvid", 0.6565, 0.381),
        _segmentation("b0_neither", "camvid", 0.5995, 0.387),
        _segmentation("b1", "camvid", 4.801, 2.2),
        _upscaler("efficientvit_sr", 0.961, 16.5),
        _upscaler("efficientvit_sr_w075", 0.566, 9.8),
        _upscaler("efficientvit_sr_tiny", 0.0695, 1.196),
    )
}


def network_spec(name: str) -> NetworkSpec:
    """Look a network up by its name.

    Raises:
        ValueError: the name is unknown; the message lists the choices.
    """
    if name not in NETWORK_SPECS:
        raise ValueError(f"network {name!r} is unknown; expected one of {', '.join(NETWORK_SPECS)}")
    return NETWORK_SPECS[name]
