# SPDX-License-Identifier: Apache-2.0
"""Build a classifier, segmentation or super-resolution network by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..network_specs import network_spec
from ..registry import load_strictly, read_checkpoint
from .classifier import Classifier
from .segmentation import SegmentationNetwork
from .super_resolution import SuperResolution

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


AnyNetwork: TypeAlias = Classifier | SegmentationNetwork | SuperResolution

CLASSES: dict[str, type[AnyNetwork]] = {
    "classify": Classifier,
    "semantic": SegmentationNetwork,
    "upscale": SuperResolution,
}


def create_network(
    name: str,
    checkpoint: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    backbone: str | Path | None = None,
) -> AnyNetwork:
    """Build a network in evaluation mode; its ``spec`` describes it.

    Args:
        name: one of :data:`~evitsam_ros.models.network_specs.NETWORK_SPECS`.
        checkpoint: official, or of ``timm``, or of this project; random weights without one.
        size: (H, W) of the input in pixels, if it is not the default.
        backbone: without ``checkpoint``, a classifier's checkpoint to take the backbone from.

    Raises:
        ValueError: the name is unknown, the size does not fit, or the checkpoint is not one of this network.
    """
    spec = network_spec(name)
    if size is not None:
        spec = spec.at(size)
    network = CLASSES[spec.kind](spec)
    if checkpoint is not None:
        load_strictly(network, _read(checkpoint), checkpoint)
    elif backbone is not None:
        _take_backbone(network, backbone)
    return network.eval()


def _read(path: str | Path) -> dict[str, Tensor]:
    state = read_checkpoint(path)
    return official_names(state) if is_timm(state) else state


def _take_backbone(network: AnyNetwork, path: str | Path) -> None:
    """Load the backbone of a classifier, strictly; the rest of the network stays as it is."""
    if not hasattr(network, "backbone"):
        raise ValueError(f"{network.spec.name} has no backbone to take from {path}")
    taken = {key: value for key, value in _read(path).items() if key.startswith("backbone.")}
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("backbone.")}
    load_strictly(network, {**own, **taken}, path)


#: A key that every EfficientViT of ``timm`` has and no official checkpoint.
STEM = "stem.in_conv.conv.weight"
_HEAD = {
    "head.in_conv.": "head.op_list.0.",
    "head.classifier.0.": "head.op_list.2.linear.",
    "head.classifier.1.": "head.op_list.2.norm.",
    "head.classifier.4.": "head.op_list.3.linear.",
}


def is_timm(state: dict[str, Tensor]) -> bool:
    """Return whether a state dict has ``timm``'s names."""
    return STEM in state


def official_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of ``timm``'s ``efficientvit_b*`` or ``efficientvit_l*``.

    Raises:
        ValueError: naming a key that none of these networks has.
    """
    # Only the L series has plain convolutions in its stem.
    large = any(key.startswith("stem.res0.main.conv1.") for key in state)
    return {_official(key, large): tensor for key, tensor in state.items()}


def _official(key: str, large: bool) -> str:
    part, _, rest = key.partition(".")
    if part == "stem":
        layer, _, rest = rest.partition(".")
        number = 0 if layer == "in_conv" else int(layer.removeprefix("res")) + 1
        return f"backbone.{'stages.0' if large else 'input_stem'}.op_list.{number}.{rest}"
    if part == "stages":
        stage, _, rest = rest.partition(".blocks.")
        return f"backbone.stages.{int(stage) + large}.op_list.{rest}"
    for theirs, official in _HEAD.items():
        if key.startswith(theirs):
            return official + key.removeprefix(theirs)
    raise ValueError(f"{key} is no key of timm's EfficientViT")
