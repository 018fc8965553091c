# SPDX-License-Identifier: Apache-2.0
"""Provide the batches of a run: the recipe's data, stage by stage, from any step on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import sa1b
from .annotations import read_folder
from .dataset import Batch, RecordSampler, SampleOptions, ShardSet, TrainingSet, loader
from .records import DataError, Record
from .views import ViewOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from evitsam_ros.models.specs import ModelSpec

    from .recipe import Data, Recipe, Stage


class Feed:
    """Provide the data of a recipe to process ``rank`` of ``ranks``."""

    def __init__(self, recipe: Recipe, root: Path, workers: int, rank: int, ranks: int) -> None:
        self.recipe, self.workers, self.rank, self.ranks = recipe, workers, rank, ranks
        self.shards = sa1b.Shards(root) if recipe.data.kind == "sa1b_tar" else None
        self.sampler = None
        if self.shards is None:
            sources = read_sources(recipe.data, root)
            self.sampler = RecordSampler(
                sources, recipe.data.sampling, recipe.data.source_weights, recipe.seed
            )

    def steps(self, stage: Stage) -> int:
        """Return the length of a stage in optimiser steps."""
        if stage.steps is not None:
            return stage.steps
        if self.sampler is None or stage.epochs is None:
            raise ValueError("tar shards are a stream without an end: give the stage's steps, not epochs")
        return max(1, math.ceil(stage.epochs * len(self.sampler) / self._images_per_step(stage)))

    def _images_per_step(self, stage: Stage) -> int:
        return stage.batch * stage.accumulate * self.ranks

    def batches(self, stage: Stage, spec: ModelSpec, step: int, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of the steps ``step`` to ``last`` of a stage that began at step ``first``."""
        data = self.recipe.data
        sample = SampleOptions(stage.prompts, data.heat_target, data.proposal_sources)
        stride = max(1, stage.size // cells_of(spec, stage.size))
        view = ViewOptions(stage.size, stride, stage.zoom, data.flip, data.colour, data.max_masks)
        # Each stage has its own seed: its samples do not depend on the batch sizes of earlier stages.
        seed = self.recipe.seed * 1_000_003 + first
        start, stop = (step - first) * stage.accumulate, (last - first) * stage.accumulate
        stream: ShardSet | TrainingSet
        if self.shards is not None:
            stream = ShardSet(self.shards, view, sample, stage.batch, seed, start, self.rank, self.ranks)
        else:
            assert self.sampler is not None, "a recipe has either shards or sources"
            stream = TrainingSet(self.sampler, view, sample, seed, data.copy_paste)
        scale = spec.prompt_size / stage.size
        try:
            for batch in loader(stream, stage.batch, start, stop, self.workers, self.rank, self.ranks):
                batch.prompt_scale, batch.jitter = scale, stage.jitter
                yield batch
        except DataError as error:
            # An exception of a loader process carries its traceback as text.
            raise DataError(str(error).rsplit(f"{DataError.__name__}: ", 1)[-1].strip()) from error


def cells_of(spec: ModelSpec, size: int) -> int:
    """Return the side of the low-res logits for views of ``size`` pixels.

    Most embeddings grow with their input; EfficientViT-SAM's neck always resizes to 64 x 64.
    """
    return size // 4 if spec.scales else spec.mask_size[0]


def _read_coco(data: Data, root: Path) -> dict[str, Sequence[Record]]:
    sources: dict[str, list[Record]] = {}
    for record in read_folder(root, list(data.train)):
        sources.setdefault(record.source, []).append(record)
    return {**sources}


def _read_sa1b(data: Data, root: Path) -> dict[str, Sequence[Record]]:
    return {sa1b.SOURCE: sa1b.Folder(root)}


#: Readers of the records of every source below a root, by kind of data. A new kind is added here and to
#: :class:`training.recipe.Data`.
READERS: dict[str, Callable[[Data, Path], dict[str, Sequence[Record]]]] = {
    "coco": _read_coco,
    "sa1b": _read_sa1b,
}


def read_sources(data: Data, root: Path) -> dict[str, Sequence[Record]]:
    """Read the records of every source of the recipe.

    Raises:
        DataError: The data cannot be read.
        ValueError: Data of this kind are a stream, which has no index.
    """
    if data.kind not in READERS:
        raise ValueError(f"data of the kind {data.kind!r} are a stream; expected one of {', '.join(READERS)}")
    return READERS[data.kind](data, root)
