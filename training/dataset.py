# SPDX-License-Identifier: Apache-2.0
"""Reproducible streams of training samples, in one process or many.

From files, sample i is a function of the seed and of i. From tar shards, the n-th sample of a reader is a
function of the seed, the reader and n. A resumed run therefore sees the same samples as an uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache, partial
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, get_worker_info

from .records import DataError, Record, Skipped
from .targets import proposal_targets
from .views import View, ViewOptions, draw_view, paste_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .sa1b import Shards

MAX_POINTS = 10
#: Max number of consecutive records without a mask in view; then the data are rejected.
MAX_ATTEMPTS = 100


@dataclass
class Batch:
    """Hold ``B`` views with ``P`` prompted masks each.

    Attributes:
        image: ``(B, S, S, 3)`` uint8 RGB.
        valid: ``(B, 2)`` height and width of the image in the view.
        coverage: ``(B, P, h, w)`` float32 on the grid of the low-res logits.
        boxes: ``(B, P, 4)`` pixels of the view.
        points: ``(B, P, 10, 2)`` foreground points, pixels of the view.
        heat, distances, group: AutoPPN's targets, see :func:`training.targets.proposal_targets`.
        names: the images' names.
        skipped: why records were skipped, one line each.
        prompt_scale: pixels of the prompt frame to a pixel of the view.
        jitter: how far boxes are moved, see :class:`training.recipe.Stage`.
    """

    image: Tensor
    valid: Tensor
    coverage: Tensor
    boxes: Tensor
    points: Tensor
    heat: Tensor
    distances: Tensor
    group: Tensor
    names: list[str]
    skipped: list[str]
    prompt_scale: float = 1.0
    jitter: float = 0.0

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on a device."""
        moved: dict[str, Any] = {
            f.name: v.to(device, non_blocking=True) if isinstance(v := getattr(self, f.name), Tensor) else v
            for f in fields(self)
        }
        return Batch(**moved)


@dataclass(frozen=True)
class SampleOptions:
    """Configure samples.

    Attributes:
        prompts: masks per view.
        heat_target: see :func:`training.targets.proposal_targets`.
        proposal_sources: sources that train AutoPPN; None: all.
    """

    prompts: int
    heat_target: str = "distance"
    proposal_sources: tuple[str, ...] | None = None


def make_sample(
    record: Record, view: View, options: SampleOptions, rng: np.random.Generator
) -> dict[str, Any]:
    """Make one row of a batch from a view that has masks."""
    heat, distances, group = proposal_targets(
        view.coverage, view.boxes, float(view.size), options.heat_target
    )
    if options.proposal_sources is not None and record.source not in options.proposal_sources:
        group[:] = -1  # unlabelled: pixels without a mask may still be an object
    masks = len(view.boxes)
    chosen = rng.choice(masks, options.prompts, replace=masks < options.prompts)
    points = np.stack([sample_points(view.coverage[i], view.stride, rng) for i in chosen])
    return {
        "image": view.image,
        "valid": np.array(view.valid),
        "coverage": view.coverage[chosen],
        "boxes": view.boxes[chosen],
        "points": points,
        "heat": heat,
        "distances": distances,
        "group": group,
        "names": record.name,
    }


def sample_points(coverage: np.ndarray, stride: int, rng: np.random.Generator) -> np.ndarray:
    """Sample ``(10, 2)`` foreground points x, y in pixels of the view, often with the most central first."""
    inside = coverage >= min(0.5, float(coverage.max()))
    rows, cols = np.nonzero(inside)
    picks = rng.integers(len(rows), size=MAX_POINTS)
    cells = np.stack([cols[picks], rows[picks]], axis=1).astype(np.float32)
    if rng.random() < 0.4:
        distance = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        row, col = np.unravel_index(distance.argmax(), distance.shape)
        cells[0] = col, row
    return (cells + rng.uniform(0.0, 1.0, cells.shape).astype(np.float32)) * stride - 0.5


class RecordSampler:
    """Select the record of an index: by source, or every record once per epoch.

    Sources are weighted by the square root of their number of images times ``weights``, so that a source with
    many masks on few images does not dominate.
    """

    def __init__(
        self, sources: dict[str, Sequence[Record]], sampling: str, weights: dict[str, float], seed: int
    ) -> None:
        unknown = sorted(set(weights) - set(sources))
        if unknown:
            raise ValueError(f"source_weights names {unknown}, the data have {sorted(sources)}")
        self.names = sorted(sources)
        self.sources, self.sampling, self.seed = sources, sampling, seed
        share = np.array([len(sources[n]) ** 0.5 * weights.get(n, 1.0) for n in self.names])
        self.probabilities = share / share.sum()
        self.ends = np.cumsum([len(sources[n]) for n in self.names])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def draw(self, index: int, rng: np.random.Generator, attempt: int) -> Record:
        """Return the record of ``index``; each attempt returns another one."""
        if self.sampling == "sources":
            source = self.sources[self.names[rng.choice(len(self.names), p=self.probabilities)]]
            return source[int(rng.integers(len(source)))]
        number = int(_permutation(self.seed, index // len(self), len(self))[index % len(self)])
        if attempt:
            number = int(rng.integers(len(self)))
        which = int(np.searchsorted(self.ends, number, side="right"))
        start = 0 if which == 0 else int(self.ends[which - 1])
        return self.sources[self.names[which]][number - start]


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


class TrainingSet(Dataset):
    """Provide sample i: a record, a view of it, prompts and targets."""

    def __init__(
        self,
        sampler: RecordSampler,
        view: ViewOptions,
        sample: SampleOptions,
        seed: int,
        copy_paste: float = 0.0,
    ) -> None:
        self.sampler, self.view, self.sample, self.seed = sampler, view, sample, seed
        self.copy_paste = copy_paste

    def __getitem__(self, index: int) -> dict[str, Any]:
        skipped: list[str] = []
        for attempt in range(MAX_ATTEMPTS):
            rng = np.random.default_rng((self.seed, index, attempt))
            try:
                record = self.sampler.draw(index, rng, attempt)
                view = draw_view(record, self.view, rng)
                if self.copy_paste and rng.random() < self.copy_paste:
                    donor = draw_view(self.sampler.draw(index, rng, attempt + 1), self.view, rng)
                    view = paste_objects(view, donor, rng)
            except ValueError as error:
                skipped.append(f"unusable records: {error}")
                continue
            skipped += record.left_out
            if len(view.boxes):
                return {**make_sample(record, view, self.sample, rng), "skipped": skipped}
        raise DataError(_no_mask_in_view(f"the last reason was {skipped[-1:] or 'an empty view'}"))


class ShardSet(IterableDataset):
    """Stream batches from tar shards, starting after the first ``start`` batches of this process.

    An unusable record is replaced by another one of its batch. A batch without a usable record takes one from
    a separate stream: every number has a batch, so that a resumed run can count them.
    """

    def __init__(
        self,
        shards: Shards,
        view: ViewOptions,
        sample: SampleOptions,
        batch: int,
        seed: int,
        start: int,
        rank: int,
        ranks: int,
    ) -> None:
        self.shards, self.view, self.sample, self.batch = shards, view, sample, batch
        self.seed, self.start, self.rank, self.ranks = seed, start, rank, ranks

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        # Workers yield batches in turn. Reader r yields the batches r, r + workers, ... of the run, so
        # after a resume worker 0 has to be the next reader.
        reader = (self.start + worker) % workers
        consumed = len(range(reader, self.start, workers))
        skipped, part = Skipped(), self.rank * workers + reader
        records = self.shards.stream(self.seed, part, self.ranks * workers, skipped)
        # Skip consumed records without decoding: batch n always consists of the reader's n-th records.
        records = islice(records, consumed * self.batch, None)
        for number in count(consumed):
            rng = np.random.default_rng((self.seed, part, number))
            samples = self._samples(islice(records, self.batch), rng, skipped)
            if not samples:
                samples = [self._substitute_sample(part, number, skipped)]
            batch = collate([samples[i % len(samples)] for i in range(self.batch)])
            batch.skipped = skipped.take_lines()
            yield batch

    def _substitute_sample(self, part: int, number: int, skipped: Skipped) -> dict[str, Any]:
        """Return a sample for a batch without a usable record, by the seed and the batch number."""
        rng = np.random.default_rng((self.seed, part, number, 1))
        for record in islice(self.shards.stream(int(rng.integers(2**31)), 0, 1, skipped), MAX_ATTEMPTS):
            if samples := self._samples([record], rng, skipped):
                return samples[0]
        raise DataError(_no_mask_in_view(f"skipped: {skipped.explain()}"))

    def _samples(
        self, records: Iterable[Record], rng: np.random.Generator, skipped: Skipped
    ) -> list[dict[str, Any]]:
        samples = []
        for record in records:
            skipped.add_lines(record.left_out)
            try:
                view = draw_view(record, self.view, rng)
            except ValueError as error:
                skipped.add("unusable records", str(error))
                continue
            if len(view.boxes):
                samples.append({**make_sample(record, view, self.sample, rng), "skipped": []})
        return samples


def _no_mask_in_view(reason: str) -> str:
    return (
        f"{MAX_ATTEMPTS} records in a row without a mask in view: check the annotations and the zoom range; "
        f"{reason}"
    )


def collate(samples: list[dict[str, Any]]) -> Batch:
    """Stack samples into a batch; concatenate the lists of names and of skipped records."""
    columns = {name: [sample[name] for sample in samples] for name in samples[0]}
    names, skipped = columns.pop("names"), [line for lines in columns.pop("skipped") for line in lines]
    tensors: dict[str, Any] = {name: torch.from_numpy(np.stack(rows)) for name, rows in columns.items()}
    return Batch(**tensors, names=names, skipped=skipped)


class RankSampler(Sampler):
    """Yield the indices of one of ``ranks`` processes: its part of the batches ``start`` to ``stop``."""

    def __init__(self, start: int, stop: int, batch: int, rank: int, ranks: int) -> None:
        self.batches = range(start * ranks + rank, stop * ranks, ranks)
        self.batch = batch

    def __iter__(self) -> Iterator[int]:
        return (turn * self.batch + i for turn in self.batches for i in range(self.batch))

    def __len__(self) -> int:
        return len(self.batches) * self.batch


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)


def loader(
    data: Dataset,
    batch: int,
    start: int,
    stop: int,
    workers: int,
    rank: int,
    ranks: int,
    collate: Callable[[list[dict[str, Any]]], Any] = collate,
) -> DataLoader:
    """Load batches ``start`` to ``stop`` of one process; a :class:`ShardSet` has its own start."""
    common = partial(
        DataLoader,
        num_workers=workers,
        # A fork would copy a process in which OpenMP, CUDA or ROS have threads, locks held.
        multiprocessing_context="forkserver" if workers else None,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    if isinstance(data, ShardSet):
        return common(data, batch_size=None)
    sampler = RankSampler(start, stop, batch, rank, ranks)
    return common(data, batch_size=batch, sampler=sampler, collate_fn=collate)
