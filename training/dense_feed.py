# SPDX-License-Identifier: Apache-2.0
"""Provide the batches of a run without prompts, from any step on; the counterpart of :mod:`training.feed`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .dataset import MAX_ATTEMPTS, RecordSampler, loader
from .dense_views import DenseOptions, read_photographs, semantic_view, upscale_view
from .label_maps import read_label_maps
from .records import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evitsam_ros.models.network_specs import NetworkSpec

    from .recipe import Data, Recipe, Stage

#: ``train`` of a recipe that does not set it.
DEFAULT_TRAIN = {"semantic": ("train",), "upscale": ("*",)}


@dataclass
class DenseBatch:
    """Hold ``B`` views and their targets.

    Attributes:
        image: ``(B, S, S, 3)`` uint8 RGB.
        target: classes ``(B, S, S)`` uint8, or images ``(B, 2S, 2S, 3)`` uint8 RGB.
        names: the images' names.
        skipped: why images were skipped, one line each.
    """

    image: Tensor
    target: Tensor
    names: list[str]
    skipped: list[str]

    def to(self, device: torch.device) -> DenseBatch:
        """Move the tensors to a device."""
        image, target = (x.to(device, non_blocking=True) for x in (self.image, self.target))
        return replace(self, image=image, target=target)


class DenseSet(Dataset):
    """Provide sample i as a function of the seed and of i."""

    def __init__(
        self, sampler: RecordSampler, draw: Callable[..., dict[str, Any]], options: DenseOptions, seed: int
    ) -> None:
        self.sampler, self.draw, self.options, self.seed = sampler, draw, options, seed

    def __getitem__(self, index: int) -> dict[str, Any]:
        skipped: list[str] = []
        for attempt in range(MAX_ATTEMPTS):
            rng = np.random.default_rng((self.seed, index, attempt))
            record = self.sampler.draw(index, rng, attempt)
            try:
                view = self.draw(record, self.options, rng)
            except ValueError as error:
                skipped.append(f"unusable images: {error}")
                continue
            return {**view, "names": record.name, "skipped": skipped}
        raise DataError(f"{MAX_ATTEMPTS} images in a row are unusable; the last reason was {skipped[-1]}")


def collate_dense(samples: list[dict[str, Any]]) -> DenseBatch:
    """Stack samples."""
    image, target = (
        torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in ("image", "target")
    )
    skipped = [line for sample in samples for line in sample["skipped"]]
    return DenseBatch(image, target, [sample["names"] for sample in samples], skipped)


class DenseFeed:
    """Provide the data of a task ``semantic`` or ``upscale`` to process ``rank`` of ``ranks``."""

    def __init__(self, recipe: Recipe, root: Path, workers: int, rank: int, ranks: int) -> None:
        self.recipe, self.workers, self.rank, self.ranks = recipe, workers, rank, ranks
        records = _records(recipe.task, recipe.data, root)
        self.sampler = RecordSampler({recipe.data.kind: records}, "epochs", {}, recipe.seed)

    def steps(self, stage: Stage) -> int:
        """Return the length of a stage in optimiser steps."""
        if stage.steps is not None:
            return stage.steps
        images = stage.batch * stage.accumulate * self.ranks
        return max(1, math.ceil(cast("float", stage.epochs) * len(self.sampler) / images))

    def batches(
        self, stage: Stage, spec: NetworkSpec, step: int, first: int, last: int
    ) -> Iterator[DenseBatch]:
        """Yield the batches of the steps ``step`` to ``last`` of a stage that began at step ``first``."""
        if stage.size % spec.multiple:
            raise ValueError(f"{spec.name}: size {stage.size} is not a multiple of {spec.multiple}")
        data = self.recipe.data
        options = DenseOptions(stage.size, stage.zoom, data.flip, data.colour)
        draw = semantic_view if self.recipe.task == "semantic" else upscale_view
        # Each stage has its own seed: its samples do not depend on the batch sizes of earlier stages.
        stream = DenseSet(self.sampler, draw, options, self.recipe.seed * 1_000_003 + first)
        start, stop = (step - first) * stage.accumulate, (last - first) * stage.accumulate
        ranks = (self.workers, self.rank, self.ranks)
        try:
            yield from loader(stream, stage.batch, start, stop, *ranks, collate=collate_dense)
        except DataError as error:
            # An exception of a loader process carries its traceback as text.
            raise DataError(str(error).rsplit(f"{DataError.__name__}: ", 1)[-1].strip()) from error


def _records(task: str, data: Data, root: Path) -> list:
    parts = data.train if "train" in data.model_fields_set else DEFAULT_TRAIN[task]
    if task == "upscale":
        return read_photographs(root, parts)
    return [record for split in parts for record in read_label_maps(data.kind, root, split)]
