# SPDX-License-Identifier: Apache-2.0
"""Write a teacher's embeddings of whole images, once, for many students.

``python -m training.precompute --teacher sam:FOLDER --data DATA --out EMBEDDINGS``; what is there is kept.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch.utils.data import ConcatDataset, Dataset
from tqdm import tqdm

from .dataset import Batch
from .feed import READERS, read_sources
from .recipe import Data, Teacher
from .records import DataError, Record, Skipped
from .teachers import TeacherModel, embedding_file, open_teacher, write_embedding
from .views import ViewOptions, place_image

if TYPE_CHECKING:
    from collections.abc import Sequence


def image_batch(record: Record, size: int) -> Batch:
    """The whole image as a batch of one, without masks."""
    image, valid = place_image(record.read_image(), ViewOptions(size))
    nothing = torch.zeros(0)
    return Batch(
        torch.from_numpy(image)[None],
        torch.tensor([valid]),
        coverage=nothing,
        boxes=nothing,
        points=nothing,
        heat=nothing,
        distances=nothing,
        group=nothing,
        names=[record.name],
        skipped=[],
    )


@torch.no_grad()
def precompute(
    teacher: TeacherModel, records: Sequence[Record] | ConcatDataset[Record], size: int, out: Path
) -> Skipped:
    """Embed every record that has no file yet; what cannot be read is skipped and counted."""
    skipped = Skipped()
    device = next(teacher.parameters()).device
    # By index: one that cannot be read would end an iteration.
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
    parser.add_argument("--kind", choices=list(READERS), default="coco")
    parser.add_argument("--train", nargs="+", default=["*_train"], help="annotation files, without .json")
    parser.add_argument("--size", type=int, default=1024, help="side that images are drawn at, in pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    kind, _, path = options.teacher.partition(":")
    teacher = (
        Teacher(kind="sam", path=path) if kind == "sam" else Teacher(kind="model", model=kind, path=path)
    )
    try:
        sources = read_sources(Data(kind=options.kind, train=tuple(options.train)), options.data)
        opened = open_teacher(teacher)
    except ValueError as error:
        print(f"precompute: {error}", file=sys.stderr)
        return 1 if isinstance(error, DataError) else 2
    opened.to("cuda" if torch.cuda.is_available() else "cpu")
    records: ConcatDataset[Record] = ConcatDataset(cast("list[Dataset[Record]]", list(sources.values())))
    skipped = precompute(opened, records, options.size, options.out)
    done = len(records) - sum(skipped.counts.values())
    print(f"{done} images; skipped {skipped}")
    if not done:
        print(f"precompute: no image of {options.data} can be used: {skipped.explain()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
