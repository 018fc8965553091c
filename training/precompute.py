# SPDX-License-Identifier: Apache-2.0
"""Write a teacher's embeddings of full images, once for many students.

``python -m training.precompute --teacher sam:FOLDER --data DATA --out EMBEDDINGS``; existing embeddings are
kept. ``--kind sa1b_tar`` reads tar shards and writes the embeddings of each as a shard, here or over workers.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.utils.data import ConcatDataset, Dataset
from tqdm import tqdm

from . import sa1b
from .command import run_command
from .dataset import Batch
from .embedding_shards import FLOAT16, INT8, index_file, read_index, write_shard
from .evaluation.report import count
from .feed import READERS, read_sources
from .recipe import Data, Teacher
from .records import DataError, Record, Skipped
from .teachers import TeacherModel, embedding_file, open_teacher, write_embedding
from .views import ViewOptions, place_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


#: Data kind of tar shards.
SHARDS = "sa1b_tar"


@dataclass(frozen=True)
class ShardJob:
    """Define the work on every shard.

    Attributes:
        teacher: of the embeddings.
        size: side of the encoder's input in pixels.
        out: existing folder of the embeddings.
        dtype: ``float16`` or ``int8``.
    """

    teacher: Teacher
    size: int
    out: Path
    dtype: str

    def open(self) -> TeacherModel:
        """Open the teacher, on a GPU if there is one."""
        return open_teacher(self.teacher).to("cuda" if torch.cuda.is_available() else "cpu")

    def run(self, model: TeacherModel, shard: Path, skipped: Skipped) -> dict[str, Any]:
        """Embed a shard; return the content of its index."""
        return precompute_shard(model, shard, self.size, self.out, self.dtype, skipped)


def image_batch(record: Record, size: int) -> Batch:
    """Make a batch of one full image, without masks."""
    image, valid = place_image(record.read_image(), ViewOptions(size))
    empty = torch.zeros(0)
    return Batch(
        torch.from_numpy(image)[None],
        torch.tensor([valid]),
        coverage=empty,
        boxes=empty,
        points=empty,
        heat=empty,
        distances=empty,
        group=empty,
        names=[record.name],
        skipped=[],
    )


@torch.no_grad()
def precompute_shard(
    teacher: TeacherModel, shard: Path, size: int, out: Path, kind: str, skipped: Skipped
) -> dict[str, Any]:
    """Embed the images of a tar shard that has no embeddings yet; return the content of its index."""
    if index_file(out, shard).is_file():
        return read_index(index_file(out, shard))
    device = next(teacher.parameters()).device

    def embeddings() -> Iterator[tuple[str, torch.Tensor]]:
        names: set[str] = set()
        for record in sa1b.read_shard(shard, skipped):
            if record.name in names:
                skipped.add("images of the same name", f"{shard}: {record.name}")
                continue
            names.add(record.name)
            try:
                batch = image_batch(record, size)
            except ValueError as error:
                skipped.add("unusable records", str(error))
                continue
            yield record.name, teacher.embed(batch.to(device))[0]

    return write_shard(out, shard, embeddings(), kind)


@torch.no_grad()
def precompute(
    teacher: TeacherModel, records: Sequence[Record] | ConcatDataset[Record], size: int, out: Path
) -> Skipped:
    """Embed every record that has no file yet; skip and count unreadable records."""
    skipped = Skipped()
    device = next(teacher.parameters()).device
    # By index: an unreadable record would end an iteration.
    for index in tqdm(range(len(records)), desc="embed", unit="image"):
        try:
            record = records[index]
            if embedding_file(out, record.name).is_file():
                continue
            batch = image_batch(record, size)
        except ValueError as error:
            skipped.add("unusable records", str(error))
            continue
        write_embedding(out, record.name, teacher.embed(batch.to(device))[0])
    return skipped


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", required=True, help="sam:FOLDER or NAME:CHECKPOINT, a model of ours")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", choices=[*READERS, SHARDS], default="coco")
    parser.add_argument("--dtype", choices=[FLOAT16, INT8], default=FLOAT16, help=f"of --kind {SHARDS}")
    parser.add_argument("--workers", type=count, default=0, help=f"of --kind {SHARDS}: workers of Ray here")
    parser.add_argument("--ray", default="", metavar="ADDRESS", help="address of a Ray cluster to join")
    parser.add_argument("--train", nargs="+", default=["*_train"], help="annotation files, without .json")
    parser.add_argument("--size", type=count, default=1024, help="side of the encoder's input in pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.kind != SHARDS and (options.dtype != FLOAT16 or options.workers or options.ray):
        parser.error(f"--dtype, --workers and --ray are for --kind {SHARDS}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    job = _embed_shards if options.kind == SHARDS else _over_images
    return run_command("precompute", lambda: job(options))


def _teacher(options: argparse.Namespace) -> Teacher:
    kind, _, path = options.teacher.partition(":")
    if kind == "sam":
        return Teacher(kind="sam", path=path)
    return Teacher(kind="model", model=kind, path=path)


def _over_images(options: argparse.Namespace) -> int:
    """Embed the images of folders; return the exit code."""
    sources = read_sources(Data(kind=options.kind, train=tuple(options.train)), options.data)
    opened = open_teacher(_teacher(options)).to("cuda" if torch.cuda.is_available() else "cpu")
    records: ConcatDataset[Record] = ConcatDataset(cast("list[Dataset[Record]]", list(sources.values())))
    options.out.mkdir(parents=True, exist_ok=True)
    skipped = precompute(opened, records, options.size, options.out)
    done = len(records) - sum(skipped.counts.values())
    print(f"{done} images; skipped {skipped}")
    if not done:
        raise _nothing(options, skipped)
    return 0


def _embed_shards(options: argparse.Namespace) -> int:
    """Embed all shards, in this process or on workers; return the exit code."""
    from .shard_workers import precompute_shards

    shards = [Path(file) for file in sa1b.Shards(options.data).files]
    options.out.mkdir(parents=True, exist_ok=True)
    job = ShardJob(_teacher(options), options.size, options.out, options.dtype)
    images, error, skipped = precompute_shards(job, shards, options.workers, options.ray)
    print(f"{images} images in {len(shards)} shards; relative error {error:.2e}; skipped {skipped}")
    if not images:
        raise _nothing(options, skipped)
    return 0


def _nothing(options: argparse.Namespace, skipped: Skipped) -> DataError:
    return DataError(f"no image of {options.data} can be used: {skipped.explain()}")


if __name__ == "__main__":
    sys.exit(main())
