# SPDX-License-Identifier: Apache-2.0
"""An endless, reproducible stream of training samples: sample i is a function of the seed and of i.

That is what makes an exact resume free: a run that continues at step n asks for the samples from n on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .annotations import Record
from .targets import proposal_targets
from .views import STRIDE, ViewOptions, draw_view

MAX_POINTS = 10


@dataclass
class Batch:
    """``B`` views with ``P`` prompted masks each.

    Attributes:
        image: ``(B, S, S, 3)`` uint8 RGB.
        valid: ``(B, 2)`` height and width of the picture in the view.
        coverage: ``(B, P, S/4, S/4)`` float32.
        boxes: ``(B, P, 4)`` pixels of the view.
        points: ``(B, P, 10, 2)`` foreground points, pixels of the view.
        heat, distances, group: AutoPPN's targets, see :func:`training.targets.proposal_targets`.
    """

    image: Tensor
    valid: Tensor
    coverage: Tensor
    boxes: Tensor
    points: Tensor
    heat: Tensor
    distances: Tensor
    group: Tensor


class TrainingSet(Dataset):
    """Draws a source, a record of it and a view of the record for every index.

    Sources are weighted by the square root of their number of pictures times ``source_weights``, so that
    many masks on few pictures do not drown the rest.
    """

    def __init__(
        self,
        records: list[Record],
        view: ViewOptions,
        prompts: int,
        seed: int,
        source_weights: dict[str, float] | None = None,
    ) -> None:
        self.by_source: dict[str, list[Record]] = {}
        for record in records:
            self.by_source.setdefault(record.source, []).append(record)
        self.names = sorted(self.by_source)
        extra = source_weights or {}
        weights = np.array([len(self.by_source[n]) ** 0.5 * extra.get(n, 1.0) for n in self.names])
        self.probabilities = weights / weights.sum()
        self.view, self.prompts, self.seed = view, prompts, seed

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        for attempt in range(100):
            rng = np.random.default_rng((self.seed, index, attempt))
            source = self.by_source[self.names[rng.choice(len(self.names), p=self.probabilities)]]
            try:
                view = draw_view(source[rng.integers(len(source))], self.view, rng)
            except ValueError:
                continue
            if len(view.boxes):
                break
        else:
            raise ValueError("100 views in a row without a mask: check the annotations and the zoom range")
        targets = proposal_targets(view.coverage, view.boxes, float(self.view.size))
        count = len(view.boxes)
        chosen = rng.choice(count, self.prompts, replace=count < self.prompts)
        points = np.stack([sample_points(view.coverage[i], rng) for i in chosen])
        valid = np.array(view.valid)
        return (view.image, valid, view.coverage[chosen], view.boxes[chosen], points, *targets)


def sample_points(coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(10, 2)`` foreground points x, y in pixels of the view; often the first is the most central one."""
    inside = coverage >= min(0.5, float(coverage.max()))
    rows, cols = np.nonzero(inside)
    picks = rng.integers(len(rows), size=MAX_POINTS)
    cells = np.stack([cols[picks], rows[picks]], axis=1).astype(np.float32)
    if rng.random() < 0.4:
        distance = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, col = np.unravel_index(distance.argmax(), distance.shape)
        cells[0] = col, row
    return (cells + rng.uniform(0.0, 1.0, cells.shape).astype(np.float32)) * STRIDE - 0.5


class Range(Sampler):
    """The indices ``start`` to ``stop``, in order."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def collate(samples: list[tuple[np.ndarray, ...]]) -> Batch:
    return Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*samples, strict=True)))


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)


def loader(data: TrainingSet, batch: int, start: int, stop: int, workers: int) -> DataLoader:
    """Batches for the steps ``start`` to ``stop``."""
    return DataLoader(
        data,
        batch_size=batch,
        sampler=Range(start * batch, stop * batch),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
    )
