# SPDX-License-Identifier: Apache-2.0
"""Build a classifier, segmentation or super-resolution network by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ..network_specs import network_spec
from ..registry import load_strictly, read_checkpoint
from .classifier import Classifier
from .segmentation import SegmentationNetwork
from .super_resolution import SuperResolution
from .timm_keys import is_timm, official_names

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
    """Build a network in evaluation mode; its ``spec`` says what it is.

    Args:
        name: one of :data:`~evitsam_ros.models.network_specs.NETWORK_SPECS`.
        checkpoint: official, or of ``timm``, or of this project; random weights without one.
        size: (H, W) of the input in pixels, where it is not the usual one.
        backbone: without ``checkpoint``, a classifier's checkpoint whose backbone is taken.

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
