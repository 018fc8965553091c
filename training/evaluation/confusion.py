# SPDX-License-Identifier: Apache-2.0
"""Compute mean IoU by a confusion matrix over a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evitsam_ros.dense.class_tables import IGNORED


@dataclass
class Confusion:
    """Count pixels by true class (rows) and predicted class (columns), summed over images.

    Attributes:
        classes: number of classes.
        matrix: ``(classes, classes + 1)`` int64; the last column counts pixels predicted as void.
    """

    classes: int
    matrix: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.matrix = np.zeros((self.classes, self.classes + 1), np.int64)

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add an image.

        Args:
            truth: ``(H, W)`` uint8 classes; :data:`IGNORED` pixels are excluded.
            predicted: ``(H, W)`` uint8 classes; :data:`IGNORED` is void and counts as wrong.

        Raises:
            ValueError: the sizes differ, or a class is out of range.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"labels {truth.shape} and prediction {predicted.shape} differ in size")
        counted = truth != IGNORED
        rows, columns = truth[counted].astype(int), predicted[counted].astype(int)
        columns[columns == IGNORED] = self.classes
        if len(rows) and (rows.max() >= self.classes or columns.max() > self.classes):
            raise ValueError(f"a class is out of range; expected 0 to {self.classes - 1}, or {IGNORED}")
        flat = np.bincount(rows * (self.classes + 1) + columns, minlength=self.matrix.size)
        self.matrix += flat.reshape(self.matrix.shape)

    def iou(self) -> np.ndarray:
        """Compute the ``(classes,)`` IoU; NaN for a class that is neither in the labels nor predicted."""
        right = np.diag(self.matrix[:, : self.classes]).astype(float)
        union = self.matrix.sum(1) + self.matrix[:, : self.classes].sum(0) - right
        return np.divide(right, union, out=np.full(self.classes, np.nan), where=union > 0)

    def mean_iou(self) -> float:
        """Compute the mean IoU over the classes that occur; NaN where none does."""
        iou = self.iou()
        return float(iou[~np.isnan(iou)].mean()) if not np.isnan(iou).all() else float("nan")

    def accuracy(self) -> float:
        """Compute the share of the labelled pixels that are right; NaN without any."""
        total = self.matrix.sum()
        return float(np.diag(self.matrix[:, : self.classes]).sum() / total) if total else float("nan")
