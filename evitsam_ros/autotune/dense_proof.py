# SPDX-License-Identifier: Apache-2.0
"""Prove a runtime of a dense bundle: label maps by mean IoU, upscaled images by PSNR, beside float32's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import FunctionNetwork, Runtime
from ..bundle import DENSE_NETWORK
from ..dense import SemanticBundle, SemanticSegmenter, Upscaler
from ..segment.iou import class_iou
from .proof import Comparison, NetworkProof, compare_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dense.bundle import DenseBundle

#: Min mean IoU over the classes between two label maps, and min PSNR in dB between two images, by precision.
MIN_IOU = {"fp32": 0.995, "fp16": 0.97, "bf16": 0.93, "int8": 0.85}
MIN_PSNR = {"fp32": 60.0, "fp16": 45.0, "bf16": 35.0, "int8": 30.0}
#: Classes of a smaller share of the pixels are a matter of single cells; they are not compared.
MIN_SHARE = 0.001
#: Max number of tiles of an image that are measured.
MAX_TILES = 6
#: PSNR of equal images, dB; JSON has no infinity.
MAX_PSNR = 100.0


@dataclass(frozen=True)
class DenseProof(Comparison):
    """Hold the result of a comparison of label maps, or of upscaled images.

    Attributes:
        precision: of the candidate.
        measure: ``mean IoU`` or ``PSNR``.
        images: number of images.
        value: mean over classes, or over images.
        worst: of a class, or of an image.
        min_value: which ``value`` is needed.
        networks: outputs by network.
        ran: False where the GPU's arithmetic was emulated.
    """

    precision: str
    measure: str
    images: int
    value: float
    worst: float
    min_value: float
    networks: dict[str, NetworkProof] = field(default_factory=dict)
    ran: bool = True

    @property
    def compared(self) -> int:
        """Return how many images were compared."""
        return self.images

    @property
    def summary(self) -> str:
        """Return the result in a line."""
        return f"{self.images} images, {self.measure} {self.value:.4f}, {self.worst:.4f} at worst"

    def _difference(self) -> str:
        if not self.images:
            return "there was no image to compare"
        if not self.value >= self.min_value:  # NaN fails
            return f"{self.measure} is {self.value:.4f}; {self.precision} needs {self.min_value}"
        return ""


def compare_dense(
    bundle: DenseBundle,
    reference: Runtime,
    candidate: Runtime,
    images: Sequence[np.ndarray],
    precision: str,
    *,
    ran: bool,
) -> DenseProof:
    """Compare network outputs and answers of a candidate with those of float32.

    Args:
        bundle: of both runtimes.
        reference: in float32.
        candidate: in another precision, or of another runtime.
        images: ``(H, W, 3)`` uint8 RGB.
        precision: the limit of this precision is applied.
        ran: False where the arithmetic of a GPU is emulated.
    """
    outputs = []
    for image in images:
        for feed in dense_feeds(bundle, image):
            (right,), (found,) = (r.networks[DENSE_NETWORK](feed) for r in (reference, candidate))
            outputs.append(compare_outputs(right, found))
    network = NetworkProof(
        min((p.cosine for p in outputs), default=0.0),
        max((p.largest_error for p in outputs), default=0.0),
        sum(p.broken for p in outputs),
    )
    if isinstance(bundle, SemanticBundle):
        measure, limit = "mean IoU", MIN_IOU[precision]
        values = class_ious(
            SemanticSegmenter(bundle, reference), SemanticSegmenter(bundle, candidate), images
        )
    else:
        measure, limit = "PSNR", MIN_PSNR[precision]
        values = image_psnrs(Upscaler(bundle, reference), Upscaler(bundle, candidate), images)
    value, worst = (float(np.mean(values)), float(min(values))) if values else (0.0, 0.0)
    return DenseProof(precision, measure, len(images), value, worst, limit, {DENSE_NETWORK: network}, ran)


def dense_feeds(bundle: DenseBundle, image: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Return what the network reads of an image: all of it, or some of the tiles."""
    feeds: list[dict[str, np.ndarray]] = []
    height, width = bundle.input_size
    if isinstance(bundle, SemanticBundle):
        cells = height // bundle.stride, width // bundle.stride
        output = np.zeros((1, len(bundle.classes.names), *cells), np.float32)
    else:
        output = np.zeros((1, 3, height * bundle.scale, width * bundle.scale), np.float32)

    def record(inputs: dict[str, Any]) -> list[np.ndarray]:
        feeds.append(inputs)
        return [output]

    runtime = Runtime({DENSE_NETWORK: FunctionNetwork(record)}, "records its inputs")
    if isinstance(bundle, SemanticBundle):
        SemanticSegmenter(bundle, runtime).logits(image)
    else:
        Upscaler(bundle, runtime).upscale(image)
    return feeds[:: max(1, len(feeds) // MAX_TILES)][:MAX_TILES]


def class_ious(
    reference: SemanticSegmenter, candidate: SemanticSegmenter, images: Sequence[np.ndarray]
) -> list[float]:
    """Return the IoU of each class between two label maps, over all images; rare classes are left out."""
    count = len(reference.bundle.classes.names) + 1
    confusion = np.zeros((count, count), np.int64)
    for image in images:
        right, found = (each.segment(image).labels.ravel() for each in (reference, candidate))
        confusion += np.bincount(right.astype(int) * count + found, minlength=count**2).reshape(count, count)
    ious, pixels = class_iou(confusion)
    return ious[pixels >= max(1.0, MIN_SHARE * confusion.sum())].tolist()


def image_psnrs(reference: Upscaler, candidate: Upscaler, images: Sequence[np.ndarray]) -> list[float]:
    """Return the PSNR between two upscaled images in dB, for each image."""
    values = []
    for image in images:
        right, found = (each.upscale(image).astype(float) for each in (reference, candidate))
        error = float(np.mean((right - found) ** 2))
        values.append(min(MAX_PSNR, 10 * np.log10(255**2 / error)) if error else MAX_PSNR)
    return values
