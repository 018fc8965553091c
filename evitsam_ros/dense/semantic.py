# SPDX-License-Identifier: Apache-2.0
"""Image in, the class of every pixel out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..backends import Runtime, open_runtime
from ..bundle import DENSE_NETWORK
from ..bundle_forms import find_form
from ..segment.overlay import draw_label_map
from ..segment.timing import StageTimer
from .bundle import SemanticBundle, open_semantic
from .fit import Fit, check_rgb
from .label_map import PixelClasses, majority_labels
from .runner import DenseRunner
from .tiled_logits import needs_tiles, tiled_logits

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ..segment import Masks
    from .class_tables import ClassTable


@dataclass(frozen=True)
class LabelMap:
    """Hold the classes of an image.

    Attributes:
        labels: ``(H, W)`` uint8; 0 is void, else the class number plus 1.
        classes: names and colours.
        confidence: ``(H, W)`` float32, softmax of the pixel's best class; None unless requested.
        class_confidence: the same of the requested class at every pixel; or None.
        timings: seconds by stage of the call that returned this label map.
    """

    labels: np.ndarray
    classes: ClassTable
    confidence: np.ndarray | None = None
    class_confidence: np.ndarray | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

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


@dataclass(frozen=True)
class MaskClasses:
    """The classes of the masks of an image.

    Attributes:
        names: class name by object id; a mask with void pixels alone has none.
        shares: share of the mask's pixels that have this class, by object id.
        timings: seconds by stage of the call that returned these classes.
    """

    names: Mapping[int, str]
    shares: Mapping[int, float]
    timings: Mapping[str, float] = field(default_factory=dict)


class SemanticSegmenter(DenseRunner):
    """``segment(image)`` gives a :class:`LabelMap`.

    Attributes:
        bundle: the opened bundle.
        description: which runtime was chosen, and why.

    Not thread-safe: one thread owns it.
    """

    def __init__(self, bundle: SemanticBundle, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.bundle = bundle

    @classmethod
    def open(
        cls,
        model: str | Path,
        backend: str = "auto",
        threads: int = 0,
        exclude: frozenset[str] = frozenset(),
        *,
        precision: str = "auto",
    ) -> SemanticSegmenter:
        """Open a bundle by name or folder; arguments and errors as in ``Segmenter.open``."""
        bundle = open_semantic(model)
        return cls(bundle, open_runtime(bundle, backend, threads, exclude, precision))

    @classmethod
    def open_beside(cls, model: str | Path, backend: str, threads: int, precision: str) -> SemanticSegmenter:
        """Open a bundle that names the masks of another model, with the options of that model.

        ``int8`` is for models that have this form; a bundle without it runs as with ``auto``.
        """
        bundle = open_semantic(model)
        if precision == "int8" and find_form(bundle, DENSE_NETWORK, "int8") is None:
            precision = "auto"
        return cls(bundle, open_runtime(bundle, backend, threads, precision=precision))

    def logits(self, image: np.ndarray, *, tiles: bool = False) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB -> ``(C, h, w)`` float32 logits of the cells that show the image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            tiles: see :meth:`segment`.

        Raises:
            ValueError: the image has another shape or type.
        """
        return self._logits(image, StageTimer(), tiles=tiles)

    def _logits(self, image: np.ndarray, timer: StageTimer, *, tiles: bool) -> np.ndarray:
        check_rgb(image)
        size, stride = self.bundle.input_size, self.bundle.stride
        if tiles and needs_tiles(image.shape[:2], size):
            return tiled_logits(image, size, stride, lambda part: self._fitted_logits(part, timer))
        return self._fitted_logits(image, timer)

    def _fitted_logits(self, image: np.ndarray, timer: StageTimer) -> np.ndarray:
        """Compute the logits of an image that is scaled to fit the network's input."""
        bundle = self.bundle
        with timer.stage("preprocess"):
            fit = Fit.of(image.shape[:2], bundle.input_size, bundle.stride)
            blob = fit.network_input(image, bundle.mean, bundle.std)
        with timer.stage("network"):
            (logits,) = self.runtime.networks[DENSE_NETWORK]({"image": blob})
        height, width = (side // bundle.stride for side in fit.content)
        return np.asarray(logits)[0, :, :height, :width]

    def segment(
        self,
        image: np.ndarray,
        *,
        full_size: bool = True,
        only: Collection[str] | None = None,
        score_threshold: float = 0.0,
        with_confidence: bool = False,
        confidence_of: str | None = None,
        tiles: bool = False,
    ) -> LabelMap:
        """Find the class of every pixel of an image.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            full_size: answer at the image's resolution; otherwise at that of the logits.
            only: names of the classes to keep; pixels of others are void. None: all.
            score_threshold: pixels of less confidence are void.
            with_confidence: also give the confidence of every pixel.
            confidence_of: also give the confidence that every pixel is of this class.
            tiles: an image larger than the network's input is not scaled down to it, but segmented in
                overlapping tiles of that size, whose logits are blended.

        Raises:
            ValueError: the image has another shape or type, a name is unknown, or the threshold is not from 0
                to 1.
        """
        _check_threshold(score_threshold)
        keep, timer = self._kept(only), StageTimer()
        asked = None if confidence_of is None else self._number(confidence_of)
        logits = self._logits(image, timer, tiles=tiles)
        height, width = image.shape[:2] if full_size else logits.shape[1:]
        with timer.stage("label_map"):
            found = PixelClasses(logits, (height, width))
            labels = _labels(found, keep, score_threshold)
            confidence = found.confidence() if with_confidence else None
            of_class = None if asked is None else found.confidence(asked)
        return LabelMap(labels, self.bundle.classes, confidence, of_class, timer.seconds)

    def classify(
        self, image: np.ndarray, masks: Masks, *, score_threshold: float = 0.0, tiles: bool = False
    ) -> MaskClasses:
        """Find the majority class of each mask's pixels.

        Pixels are counted at the centres of the masks' low-res cells.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            masks: of this image.
            score_threshold: pixels of less confidence are void.
            tiles: see :meth:`segment`.

        Raises:
            ValueError: the image has another shape or type than the masks' image.
        """
        if image.shape[:2] != masks.image_size:
            raise ValueError(f"the image is {image.shape[:2]}, that of the masks {masks.image_size}")
        _check_threshold(score_threshold)
        timer, names = StageTimer(), self.bundle.classes.names
        logits = self._logits(image, timer, tiles=tiles)
        with timer.stage("classify"):
            cells = masks.transform.visible_cells
            labels = _labels(PixelClasses(logits, cells), self._kept(None), score_threshold)
            winners, shares = majority_labels(masks.unpadded_logits > 0, _at_cells(labels, masks))
        found = list(zip(masks.object_ids.tolist(), winners.tolist(), shares.tolist(), strict=True))
        return MaskClasses(
            {identity: names[label - 1] for identity, label, _ in found if label},
            {identity: share for identity, label, share in found if label},
            timer.seconds,
        )

    def _kept(self, only: Collection[str] | None) -> np.ndarray:
        """``(classes,)`` uint8: the label of each class, 0 where it is not kept."""
        labels = np.arange(1, len(self.bundle.classes.names) + 1, dtype=np.uint8)
        if only is None:
            return labels
        kept = np.zeros_like(labels)
        numbers = [self._number(name) for name in sorted(only)]
        kept[numbers] = labels[numbers]
        return kept

    def _number(self, name: str) -> int:
        names = self.bundle.classes.names
        if name not in names:
            raise ValueError(f"class {name!r} is unknown to {self.bundle.name}; expected {', '.join(names)}")
        return names.index(name)


def _check_threshold(score_threshold: float) -> None:
    if not 0 <= score_threshold <= 1:  # NaN is outside too
        raise ValueError(f"score_threshold is {score_threshold}; expected 0 to 1")


def _labels(found: PixelClasses, keep: np.ndarray, score_threshold: float) -> np.ndarray:
    """Return the label map, ``keep`` by class; pixels of less confidence than the threshold are void."""
    labels: np.ndarray = keep[found.classes]
    if score_threshold > 0:
        labels[found.confidence() < score_threshold] = 0
    return labels


def _at_cells(labels: np.ndarray, masks: Masks) -> np.ndarray:
    """Return the labels at the centres of the low-res cells; the last row and column may be cut."""
    rows, cols = (
        np.minimum(((np.arange(count) + 0.5) * count / cells).astype(int), count - 1)
        for count, cells in zip(labels.shape, masks.transform.image_cells, strict=True)
    )
    return np.asarray(labels[rows[:, None], cols])
