# SPDX-License-Identifier: Apache-2.0
"""SA-1B as it is published: ``sa_N.jpg`` beside ``sa_N.json``, in folders or in tar shards.

Nothing is read ahead: eleven million annotation files are a list of names until one of them is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds

from .annotations import Record, Skipped

SOURCE = "sa1b"


def record_from_json(content: bytes, image: Path | bytes, name: str) -> Record:
    """One picture of SA-1B from its annotation file.

    Raises:
        ValueError: it is not an SA-1B annotation, or holds no mask.
    """
    try:
        entry: dict[str, Any] = json.loads(content)
        height, width = int(entry["image"]["height"]), int(entry["image"]["width"])
        found = [a for a in entry["annotations"] if min(a["bbox"][2:]) > 0 and a["segmentation"]["counts"]]
        wrong = [a for a in found if list(a["segmentation"]["size"]) != [height, width]]
        boxes = np.array([a["bbox"] for a in found], np.float32).reshape(-1, 4)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{name}: expected an SA-1B annotation ({error!r})") from error
    if wrong:
        raise ValueError(
            f"{name}: a mask has the size {wrong[0]['segmentation']['size']}, not {height, width}"
        )
    if not found:
        raise ValueError(f"{name}: holds no mask")
    boxes[:, 2:] += boxes[:, :2]
    rles = [a["segmentation"] for a in found]
    return Record(name, image, SOURCE, height, width, rles, boxes, np.zeros(len(found), int))


class Folder(Sequence):
    """The records of a folder tree, read when they are asked for."""

    name = SOURCE

    def __init__(self, root: Path) -> None:
        self.files = sorted(root.rglob("*.json"))
        if not self.files:
            raise ValueError(f"{root}: holds no SA-1B annotation (sa_N.json beside sa_N.jpg)")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Record:
        """Raises ``ValueError`` for a damaged record."""
        file = self.files[index]
        return record_from_json(file.read_bytes(), file.with_suffix(".jpg"), file.stem)


class Shards:
    """Tar shards, streamed: an endless walk over them in an order that depends on the seed alone."""

    name = SOURCE

    def __init__(self, root: Path) -> None:
        self.files = sorted(str(file) for file in root.glob("*.tar"))
        if not self.files:
            raise ValueError(f"{root}: holds no tar shard (sa_000000.tar ...)")

    def stream(self, seed: int, part: int, parts: int, skipped: Skipped) -> Iterator[Record]:
        """The records of every ``parts``-th shard, shuffled anew in every pass; bad ones are counted."""
        for turn in range(1 << 30):
            rng = np.random.default_rng((seed, turn))
            order = [self.files[i] for i in rng.permutation(len(self.files))]
            # With fewer shards than readers every reader walks all of them and keeps its share of samples.
            shared = len(order) < parts
            mine = order if shared else order[part::parts]
            for number, sample in enumerate(_samples(mine, skipped)):
                if shared and number % parts != part:
                    continue
                try:
                    yield record_from_json(sample["json"], sample["jpg"], sample["__key__"])
                except KeyError as error:
                    skipped.add("incomplete samples", f"{sample['__key__']} has no {error}")
                except ValueError as error:
                    skipped.add("bad annotations", str(error))


def _samples(files: list[str], skipped: Skipped) -> Iterator[dict[str, Any]]:
    def left_at_the_break(error: Exception) -> bool:
        skipped.add("broken shards", repr(error))
        return True

    shards = wds.SimpleShardList(files)
    return iter(wds.DataPipeline(shards, wds.tarfile_to_samples(handler=left_at_the_break)))
