# SPDX-License-Identifier: Apache-2.0
"""Embed tar shards in this process, or on Ray workers; completed shards are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from evitsam_ros.labelling.on_ray import connected, mapped

from .records import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .precompute import ShardJob


def precompute_shards(
    job: ShardJob, shards: list[Path], workers: int, address: str
) -> tuple[int, float, Skipped]:
    """Embed all shards that have no embeddings yet.

    Args:
        job: work on each shard.
        shards: files of images.
        workers: number of Ray workers; 0 without an address: this process.
        address: of a cluster.

    Returns:
        The number of images with an embedding, the mean relative error of these, and the skipped records.

    Raises:
        ValueError: The teacher cannot be opened, or a shard was lost repeatedly with its workers.
    """
    skipped, images, total = Skipped(), 0, 0.0
    found = _on_ray(job, shards, workers, address) if workers or address else _in_process(job, shards)
    with tqdm(total=len(shards), desc="embed", unit="shard") as bar:
        for index, lines in found:
            skipped.add_lines(lines)
            images += index["images"]
            total += index["images"] * index["relative_error"]["mean"]
            bar.update()
    return images, total / max(1, images), skipped


def _in_process(job: ShardJob, shards: list[Path]) -> Iterator[tuple[dict[str, Any], list[str]]]:
    model = job.open()
    for shard in shards:
        skipped = Skipped()
        yield job.run(model, shard, skipped), skipped.take_lines()


def _on_ray(
    job: ShardJob, shards: list[Path], workers: int, address: str
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    job.open()  # report a fault of the teacher once, not once per worker
    left = {str(shard) for shard in shards}
    with connected(workers, address, 0) as slots:
        rows = [{"shard": str(shard)} for shard in shards]
        for row in mapped(rows, Embedder, (job, slots.threads), slots):
            left.discard(row["shard"])
            yield json.loads(row["index"]), json.loads(row["lines"])
    if left:
        raise ValueError(f"{len(left)} shards were lost with their workers, as {min(left)}; run it again")


class Embedder:
    """Embed shards as an actor of Ray Data: names of shards in, their indices out."""

    def __init__(self, job: ShardJob, threads: int) -> None:
        torch.set_num_threads(threads)
        self._job, self._model = job, job.open()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Embed the shards of a batch."""
        rows: dict[str, list[str]] = {"shard": [], "index": [], "lines": []}
        for shard in batch["shard"]:
            skipped = Skipped()
            index = self._job.run(self._model, Path(str(shard)), skipped)
            rows["shard"].append(str(shard))
            rows["index"].append(json.dumps({**index, "places": {}}))  # the file holds the places
            rows["lines"].append(json.dumps(skipped.take_lines()))
        return rows
