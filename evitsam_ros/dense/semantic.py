# SPDX-License-Identifier: Apache-2.0
"""Image in, the class of every pixel out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..backends import Runtime, open_runtime
from ..bundle import DENSE_NETWORK
from ..segment.overlay import draw_label_map
from .bundle import SemanticBundle, open_semantic
from .fit import Fit, check_rgb
from .label_map import upsampled_argmax
from .runner import DenseRunner

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from .class_tables import ClassTable


@dataclass(frozen=True)
class LabelMap:
    """The classes of an image.

    Attributes:
        labels: ``(H, W)`` uint8; 0 is void, else the class number plus 1.
        classes: names and colours.
        confidence: ``(H, W)`` float32, softmax of the pixel's class; None where it was not asked for.
    """

    labels: np.ndarray
    classes: ClassTable
    confidence: np.ndarray | None = None

    def shares(self) -> dict[str, float]:
        """The share of the image's pixels by class name, largest first, without classes that are absent."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.classes.names) + 1)[1:]
        order = np.argsort(-counts, kind="stable")
        return {
            self.classes.names[i]: float(counts[i] / self.labels.size) for i in order.tolist() if counts[i]
        }

    def overlay(self, image: np.ndarray, alpha: float = 0.5) -> np.ndarray:
        """Draw the classes in their data set's colours over ``(H, W, 3)`` uint8 RGB of the same size."""
        return draw_label_map(image, self.labels, alpha, colours=self.classes.palette)


class SemanticSegmenter(DenseRunner):
    """``segment(image)`` gives a :class:`LabelMap`.

    Attributes:
        bundle: the opened bundle.
        description: which runtime was chosen, and why.
        timings: seconds by stage of the last call.

    Not thread-safe: one thread owns it.
    """

    def __init__(self, bundle: SemanticBundle, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.bundle = bundle
        self.timings: dict[str, float] = {}

    @classmethod
    def open(cls, model: str | Path, backend: str = "auto", threads: int = 0) -> SemanticSegmenter:
        """Open a bundle by name or folder; arguments and errors as in ``Segmenter.open``."""
        bundle = open_semantic(model)
        return cls(bundle, open_runtime(bundle, backend, threads))

    def logits(self, image: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB -> ``(C, h, w)`` float32 logits of the cells that show the image."""
        check_rgb(image)
        bundle, begun = self.bundle, time.perf_counter()
        fit = Fit.of(image.shape[:2], bundle.input_size, bundle.stride)
        blob = fit.network_input(image, bundle.mean, bundle.std)
        made = time.perf_counter()
        (logits,) = self.runtime.networks[DENSE_NETWORK]({"image": blob})
        height, width = (side // bundle.stride for side in fit.content)
        self.timings = {"preprocess": made - begun, "network": time.perf_counter() - made}
        return np.asarray(logits)[0, :, :height, :width]

    def segment(
        self,
        image: np.ndarray,
        *,
        full_size: bool = True,
        only: Collection[str] | None = None,
        score_threshold: float = 0.0,
        with_confidence: bool = False,
    ) -> LabelMap:
        """Find the class of every pixel of an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            full_size: answer at the image's resolution; otherwise at that of the logits.
            only: names of the classes to keep; pixels of others are void. None: all.
            score_threshold: pixels of less confidence are void.
            with_confidence: also give the confidence of every pixel.

        Raises:
            ValueError: the image has another shape or type, or a name is unknown.
        """
        keep = self._kept(only)
        logits = self.logits(image)
        begun = time.perf_counter()
        size = image.shape[:2] if full_size else logits.shape[1:]
        ask = with_confidence or score_threshold > 0
        classes, confidence = upsampled_argmax(logits, size, with_confidence=ask)
        labels = keep[classes]
        if confidence is not None and score_threshold > 0:
            labels[confidence < score_threshold] = 0
        self.timings["label map"] = time.perf_counter() - begun
        return LabelMap(labels, self.bundle.classes, confidence if with_confidence else None)

    def _kept(self, only: Collection[str] | None) -> np.ndarray:
        """``(classes,)`` uint8: the label of each class, 0 where it is not kept."""
        names = self.bundle.classes.names
        unknown = sorted(set(only or ()) - set(names))
        if unknown:
            raise ValueError(
                f"class {unknown[0]!r} is unknown to {self.bundle.name}; expected {', '.join(names)}"
            )
        labels = np.arange(1, len(names) + 1, dtype=np.uint8)
        return (
            labels if only is None else np.where([name in only for name in names], labels, 0).astype(np.uint8)
        )
