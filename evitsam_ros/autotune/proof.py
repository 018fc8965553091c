# SPDX-License-Identifier: Apache-2.0
"""Prove a runtime: its masks against those of float32, on real images and prompts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..bundle import NETWORKS
from ..segment import Masks, Prompt, Segmenter
from ..segment.decoder_inputs import prompt_arrays
from ..segment.iou import mask_iou, mask_overlap
from ..segment.mask_filter import stability
from ..segment.quadtree_view import Views, focus_point

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from ..backends import Encoded
    from ..segment.transform import Transform

#: Min mean and min single IoU between masks of candidate and reference, by precision.
LIMITS = {"fp32": (0.999, 0.98), "fp16": (0.99, 0.95), "bf16": (0.97, 0.85), "int8": (0.95, 0.80)}
#: Masks smaller than this many low-res cells are a matter of a cell more or less; they are not compared.
MIN_CELLS = 12
#: Nor are masks of less stability: any rounding moves their outline, and none of them is published.
MIN_STABILITY = 0.2


@dataclass(frozen=True)
class NetworkProof:
    """One network's outputs: the min cosine, the max error over the reference's range, broken cells."""

    cosine: float
    largest_error: float
    broken: int


class Comparison(ABC):
    """The result of a comparison of a candidate with the reference; subclasses are dataclasses.

    Attributes:
        networks: outputs by network.
    """

    networks: dict[str, NetworkProof]

    @property
    @abstractmethod
    def summary(self) -> str:
        """Return the result in a line."""

    @abstractmethod
    def _difference(self) -> str:
        """Return the difference that exceeds a limit, in a line; empty if there is none."""

    def problem(self) -> str:
        """Return the reason of a failure, in a line; empty if it passes."""
        for name, proof in self.networks.items():
            if proof.broken:
                return f"the {name} gives {proof.broken} values that are not finite"
        return self._difference()

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON."""
        return asdict(cast("Any", self))


@dataclass(frozen=True)
class Proof(Comparison):
    """Hold the result of a comparison of masks. ``ran`` is False if the GPU's arithmetic was emulated."""

    precision: str
    masks: int
    mean_iou: float
    worst_iou: float
    networks: dict[str, NetworkProof] = field(default_factory=dict)
    ran: bool = True

    @property
    def measure(self) -> str:
        """Return what :attr:`value` is."""
        return "mask IoU"

    @property
    def compared(self) -> int:
        """Return how many masks were compared."""
        return self.masks

    @property
    def value(self) -> float:
        """Return the mean over the masks."""
        return self.mean_iou

    @property
    def worst(self) -> float:
        """Return the smallest of the masks."""
        return self.worst_iou

    @property
    def summary(self) -> str:
        """Return the result in a line."""
        return f"{self.masks} masks, IoU {self.mean_iou:.4f} on average, {self.worst_iou:.4f} at worst"

    def _difference(self) -> str:
        mean, worst = LIMITS[self.precision]
        if not self.masks:
            return "there was no mask to compare: give images with objects"
        if self.mean_iou < mean or self.worst_iou < worst:
            return (
                f"masks agree by IoU {self.mean_iou:.4f} on average and {self.worst_iou:.4f} at worst; "
                f"{self.precision} needs {mean} and {worst}"
            )
        return ""


def prompts_for(image: np.ndarray, count: int = 4) -> list[Prompt]:
    """Make boxes and points spread over an image, the same in every call."""
    height, width = image.shape[:2]
    places = [(0.3, 0.35), (0.68, 0.4), (0.5, 0.62), (0.25, 0.75)][:count]
    prompts = []
    for x, y in places:
        reach = np.array([width, height]) * 0.16
        centre = np.array([x * width, y * height])
        prompts.append(Prompt.parse(box=np.concatenate([centre - reach, centre + reach])))
        prompts.append(Prompt.parse(points=[centre], labels=[1]))
    return prompts


def proposals_for(image: np.ndarray) -> list[list[Prompt]]:
    """Make proposals at the same places: points with a box, and points with a ``proposal_box``."""
    boxes = [prompt.box for prompt in prompts_for(image) if prompt.box is not None]
    middles = [box.reshape(2, 2).mean(0)[None] for box in boxes]
    pairs = list(zip(middles, boxes, strict=True))
    return [
        [Prompt(point, box=box) for point, box in pairs],
        [Prompt(point, proposal_box=box) for point, box in pairs],
    ]


def prompt_feed(
    group: Sequence[Prompt], encoded: Encoded, transform: Transform
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Make the inputs of both decoders for prompts of one kind, and the mask prompt of one of them."""
    coords, labels, mask, has_mask = prompt_arrays(group, transform)
    said = {**encoded.feed(), "point_coords": coords, "point_labels": labels}
    return said, mask, has_mask


def foveal_feed(group: Sequence[Prompt], encoded: Encoded, transform: Transform) -> dict[str, Any]:
    """Make the foveal decoder's inputs for proposals."""
    read, *_ = prompt_feed(group, encoded, transform)
    views = Views.around(np.stack([cast("np.ndarray", focus_point(prompt)) for prompt in group]), transform)
    return {**read, "cells": views.cells()}


def decoder_feed(group: Sequence[Prompt], encoded: Encoded, transform: Transform) -> dict[str, Any]:
    """Make the decoder's inputs for prompts of one kind."""
    read, mask, has_mask = prompt_feed(group, encoded, transform)
    return {**read, "mask_input": mask, "has_mask_input": has_mask}


def compare(
    reference: Segmenter,
    candidate: Segmenter,
    images: Iterable[np.ndarray],
    precision: str,
    *,
    ran: bool = True,
    networks: Collection[str] = NETWORKS,
) -> Proof:
    """Compare network outputs and masks of a candidate with those of float32.

    Args:
        reference: of the bundle, in float32.
        candidate: of the same bundle.
        images: ``(H, W, 3)`` uint8 RGB.
        precision: the limits of this precision are applied.
        ran: False where the arithmetic of a GPU is emulated.
        networks: their outputs are compared, and the masks of the decoders among them.
    """
    ious: list[float] = []
    outputs: dict[str, list[NetworkProof]] = {}
    for image in images:
        right, found = reference.embed(image), candidate.embed(image)
        if "encoder" in networks:
            pairs = zip(right.data.feed().values(), found.data.feed().values(), strict=True)
            outputs.setdefault("encoder", []).extend(compare_outputs(a, b) for a, b in pairs)
        if "proposals" in networks and reference.bundle.has_proposals:
            maps = reference.runtime.propose(right.data), candidate.runtime.propose(found.data)
            outputs.setdefault("proposals", []).extend(
                compare_outputs(a, b) for a, b in zip(*maps, strict=True)
            )
        for name, prompts in _prompts_by_decoder(image, reference, networks).items():
            wanted, drawn = (
                segmenter.decode(embedding, prompts, multimask=True, foveal=name == "foveal_decoder")
                for segmenter, embedding in ((reference, right), (candidate, found))
            )
            outputs.setdefault(name, []).append(compare_outputs(wanted.logits, drawn.logits))
            ious += _mask_ious(wanted, drawn)
    proofs = {
        name: NetworkProof(
            min(p.cosine for p in parts), max(p.largest_error for p in parts), sum(p.broken for p in parts)
        )
        for name, parts in outputs.items()
    }
    mean, worst = (float(np.mean(ious)), float(min(ious))) if ious else (0.0, 0.0)
    return Proof(precision, len(ious), mean, worst, proofs, ran)


def _prompts_by_decoder(
    image: np.ndarray, segmenter: Segmenter, networks: Collection[str]
) -> dict[str, list[Prompt]]:
    found = {"decoder": prompts_for(image)} if "decoder" in networks else {}
    if "foveal_decoder" in networks and segmenter.bundle.has_foveal:
        found["foveal_decoder"] = [prompt for group in proposals_for(image) for prompt in group]
    return found


def compare_outputs(wanted: Any, found: Any) -> NetworkProof:
    """Compare an output of a network with the reference's, arrays of the same shape."""
    wanted, found = np.asarray(wanted, np.float32), np.asarray(found, np.float32)
    finite = np.isfinite(found)
    broken = int(finite.size - np.count_nonzero(finite))
    found = np.where(finite, found, np.float32(0)) if broken else found
    norms = np.sqrt(_sum(wanted, wanted) * _sum(found, found))
    cosine = float(_sum(wanted, found) / norms) if norms else 0.0
    error = float(np.abs(wanted - found).max() / max(float(np.ptp(wanted)), 1e-12))
    return NetworkProof(cosine, error, broken)


def _sum(a: np.ndarray, b: np.ndarray) -> np.float64:
    """Return the sum of products, in the calling thread alone: BLAS would use every core."""
    return np.multiply(a, b, dtype=np.float64).sum()


def _mask_ious(wanted: Masks, found: Masks) -> list[float]:
    certain = stability(wanted.unpadded_logits) >= MIN_STABILITY
    right, ours = wanted.unpadded_logits[certain] > 0, found.unpadded_logits[certain] > 0
    _, cells = mask_overlap(right, ours)
    return mask_iou(right, ours)[cells >= MIN_CELLS].tolist()
