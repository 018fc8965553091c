# SPDX-License-Identifier: Apache-2.0
"""Validate a runtime: its masks against those of float32 ONNX Runtime, on real images and prompts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..backends import Encoded, FunctionNetwork, Network, Runtime
from ..bundle import NETWORKS, Bundle
from ..segment import Masks, Prompt, Segmenter
from ..segment.decoder_inputs import prompt_arrays
from ..segment.iou import mask_iou, mask_overlap
from ..segment.mask_filter import stability
from ..segment.quadtree_view import Views, focus_point
from ..segment.transform import Transform, preprocess
from .rounding import run_as_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onnx import ModelProto

#: Least mean and least single IoU between masks of candidate and reference, by precision.
LIMITS = {"fp32": (0.999, 0.98), "fp16": (0.99, 0.95), "bf16": (0.97, 0.85), "int8": (0.95, 0.80)}
#: Masks smaller than this many low-res cells are a matter of a cell more or less; they are not compared.
LEAST_CELLS = 12
#: Nor are masks of less stability, whose outline any rounding moves: nobody is shown them.
LEAST_STABILITY = 0.2


class ValidationError(ValueError):
    """The candidate's masks are not the reference's; the message says what differs first."""


@dataclass(frozen=True)
class NetworkProof:
    """One network's outputs: the least cosine, the largest error over the reference's range, broken cells."""

    cosine: float
    largest_error: float
    broken: int


@dataclass(frozen=True)
class Proof:
    """What was compared, and how it came out. ``ran`` is False where the GPU's arithmetic was emulated."""

    precision: str
    masks: int
    mean_iou: float
    worst_iou: float
    networks: dict[str, NetworkProof] = field(default_factory=dict)
    ran: bool = True

    def problem(self) -> str:
        """Why it fails, in a line; empty if it holds."""
        for name, proof in self.networks.items():
            if proof.broken:
                return f"the {name} gives {proof.broken} values that are not finite"
        mean, worst = LIMITS[self.precision]
        if not self.masks:
            return "there was no mask to compare: give pictures with something in them"
        if self.mean_iou < mean or self.worst_iou < worst:
            return (
                f"masks agree by IoU {self.mean_iou:.4f} on average and {self.worst_iou:.4f} at worst; "
                f"{self.precision} needs {mean} and {worst}"
            )
        return ""

    def as_dict(self) -> dict[str, Any]:
        """Return the proof for JSON."""
        return asdict(self)


def prompts_for(image: np.ndarray, count: int = 4) -> list[Prompt]:
    """Boxes and points spread over a picture, the same for everybody."""
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


def feeds_for(
    bundle: Bundle, graphs: dict[str, ModelProto], images: Sequence[np.ndarray]
) -> dict[str, list[dict]]:
    """Make the inputs of the networks of a bundle on real images, for measuring."""
    runtime = graphs_runtime({"encoder": graphs["encoder"]}, "float32")
    feeds: dict[str, list[dict]] = {name: [] for name in NETWORKS}
    for image in images:
        blob = preprocess(image, bundle.image_size, bundle.mean, bundle.std)
        encoded = runtime.encode(blob)
        feeds["encoder"].append({"image": blob})
        feeds["proposals"].append({"image_embeddings": encoded.image_embeddings})
        transform = Transform.of(bundle, image.shape[:2])
        prompts = prompts_for(image)
        for group in ([p for p in prompts if p.box is not None], [p for p in prompts if p.box is None]):
            said, mask, has_mask = _read(group, encoded, transform)
            feeds["decoder"].append({**said, "mask_input": mask, "has_mask_input": has_mask})
        for group in proposals_for(image):
            said, *_ = _read(group, encoded, transform)
            views = Views.around(
                np.stack([cast("np.ndarray", focus_point(prompt)) for prompt in group]), transform
            )
            feeds["foveal_decoder"].append({**said, "cells": views.cells()})
    return feeds


def _read(
    group: Sequence[Prompt], encoded: Encoded, transform: Transform
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Make what both decoders read of prompts of one kind, and the mask prompt of one of them."""
    coords, labels, mask, has_mask = prompt_arrays(group, transform)
    said = {**encoded.feed(), "point_coords": coords, "point_labels": labels}
    return said, mask, has_mask


def prove(
    bundle: Bundle, candidate: Runtime, images: Iterable[np.ndarray], precision: str, *, ran: bool
) -> Proof:
    """Compare network outputs and masks of a candidate with float32 ONNX Runtime's."""
    from ..backends import open_runtime

    reference = Segmenter(bundle, open_runtime(bundle, "onnxruntime"))
    segmenter = Segmenter(bundle, candidate)
    ious: list[float] = []
    outputs: dict[str, list[NetworkProof]] = {}
    for image in images:
        right, found = reference.embed(image), segmenter.embed(image)
        pairs = zip(right.data.feed().values(), found.data.feed().values(), strict=True)
        outputs.setdefault("encoder", []).extend(_compare(a, b) for a, b in pairs)
        if bundle.has_proposals:
            pairs = zip(reference.runtime.propose(right.data), candidate.propose(found.data), strict=True)
            outputs.setdefault("proposals", []).extend(_compare(a, b) for a, b in pairs)
        prompts = prompts_for(image)
        wanted = reference.decode(right, prompts, multimask=True)
        drawn = segmenter.decode(found, prompts, multimask=True)
        outputs.setdefault("decoder", []).append(_compare(wanted.logits, drawn.logits))
        ious += _mask_ious(wanted, drawn)
        if bundle.has_foveal:
            proposals = [prompt for group in proposals_for(image) for prompt in group]
            wanted = reference.decode(right, proposals, multimask=True, foveal=True)
            drawn = segmenter.decode(found, proposals, multimask=True, foveal=True)
            outputs.setdefault("foveal_decoder", []).append(_compare(wanted.logits, drawn.logits))
            ious += _mask_ious(wanted, drawn)
    networks = {
        name: NetworkProof(
            min(p.cosine for p in parts), max(p.largest_error for p in parts), sum(p.broken for p in parts)
        )
        for name, parts in outputs.items()
    }
    mean, worst = (float(np.mean(ious)), float(min(ious))) if ious else (0.0, 0.0)
    return Proof(precision, len(ious), mean, worst, networks, ran)


def _compare(wanted: Any, found: Any) -> NetworkProof:
    wanted, found = np.asarray(wanted, np.float64), np.asarray(found, np.float64)
    finite = np.isfinite(found)
    found = np.where(finite, found, 0.0)
    norms = np.linalg.norm(wanted) * np.linalg.norm(found)
    cosine = float((wanted * found).sum() / norms) if norms else 0.0
    error = float(np.abs(wanted - found).max() / max(float(np.ptp(wanted)), 1e-12))
    return NetworkProof(cosine, error, int((~finite).sum()))


def _mask_ious(wanted: Masks, found: Masks) -> list[float]:
    certain = stability(wanted.unpadded_logits) >= LEAST_STABILITY
    right, ours = wanted.unpadded_logits[certain] > 0, found.unpadded_logits[certain] > 0
    _, cells = mask_overlap(right, ours)
    return mask_iou(right, ours)[cells >= LEAST_CELLS].tolist()


def graphs_runtime(graphs: dict[str, ModelProto], description: str, threads: int = 0) -> Runtime:
    """Make a runtime of graphs, executed as they are written (see :mod:`~evitsam_ros.tensorrt.rounding`)."""

    def network(model: ModelProto) -> Network:
        session = run_as_written(model, threads)
        names = {entry.name for entry in session.get_inputs()}
        return FunctionNetwork(
            lambda inputs: session.run(None, {k: v for k, v in inputs.items() if k in names})
        )

    return Runtime({name: network(model) for name, model in graphs.items()}, description)
