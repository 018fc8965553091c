# SPDX-License-Identifier: Apache-2.0
"""Read SA-1B in its published form: ``sa_N.jpg`` beside ``sa_N.json``, in folders or in tar shards.

Annotation files are read on access: eleven million of them are first a list of names.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import webdataset as wds

from .instances import check_instances, check_size
from .json_file import parse_json, read_json
from .records import MAX_LINES, DataError, Record, Skipped, Unusable, brief

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "sa1b"
EXPECTED = "an SA-1B annotation"
#: Shards of embeddings may be beside those of images.
EMBEDDINGS = ".embeddings.tar"


def record_from_json(content: bytes, image: Path | bytes, name: str) -> Record:
    """Read one image of SA-1B from the bytes of its annotation file.

    Raises:
        ValueError: it is not an SA-1B annotation, or has no usable mask.
    """
    return _record(parse_json(content, name, EXPECTED), image, name)


def _record(entry: dict[str, Any], image: Path | bytes, name: str) -> Record:
    described, annotations = entry.get("image"), entry.get("annotations")
    if not isinstance(described, dict) or not isinstance(annotations, list):
        raise ValueError(
            f"{name}: expected {EXPECTED}, an object with image and annotations; found {brief(entry)}"
        )
    try:
        size = check_size(described.get("height"), described.get("width"))
    except Unusable as fault:
        raise ValueError(f"{name}: expected {EXPECTED}; image has {fault.detail}") from fault
    left_out: list[str] = []

    def report(place: int, fault: Unusable) -> None:
        if len(left_out) < MAX_LINES:
            annotation = annotations[place]
            identity = annotation.get("id") if isinstance(annotation, dict) else None
            left_out.append(f"{fault.reason}: {name} annotation {brief(identity)}: {fault.detail}")

    found = check_instances(annotations, [size] * len(annotations), report)
    if not found.rles:
        why = f" that can be used ({left_out[0]})" if left_out else ""
        raise ValueError(f"{name}: holds no mask{why}")
    return Record(name, image, SOURCE, *size, found.rles, found.boxes, found.annotators, tuple(left_out))


class Folder(Sequence[Record]):
    """Read the records of a folder tree on access."""

    name = SOURCE

    def __init__(self, root: Path) -> None:
        self.files = sorted(root.rglob("*.json"))
        if not self.files:
            raise DataError(f"{root}: holds no SA-1B annotation (sa_N.json beside sa_N.jpg)")

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        """Read a record, or those of a slice.

        Raises:
            ValueError: A record is damaged.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        file = self.files[index]
        return _record(read_json(file, EXPECTED), file.with_suffix(".jpg"), file.stem)


class Shards:
    """Stream tar shards endlessly, in an order that depends on the seed alone."""

    name = SOURCE

    def __init__(self, root: Path) -> None:
        self.root = root
        found = [str(file) for file in root.glob("*.tar")]
        self.files = sorted(file for file in found if not file.endswith(EMBEDDINGS))
        if not self.files:
            raise DataError(f"{root}: holds no tar shard (sa_000000.tar ...)")

    def stream(self, seed: int, part: int, parts: int, skipped: Skipped) -> Iterator[Record]:
        """Yield the records of every ``parts``-th shard, shuffled in each pass; count bad ones.

        Raises:
            DataError: no shard has a usable record.
        """
        for turn in range(1 << 30):
            rng = np.random.default_rng((seed, turn))
            order = [self.files[i] for i in rng.permutation(len(self.files))]
            # With fewer shards than readers, each reader reads all shards and keeps its share of samples.
            shared = len(order) < parts
            mine = _records(order, skipped, part, parts) if shared else _records(order[part::parts], skipped)
            # A reader without usable samples in its share takes those of all readers.
            given = yield from mine
            if not given and not (yield from _records(order, skipped)):
                raise DataError(f"{self.root}: no shard holds a usable record; skipped: {skipped.explain()}")


def read_shard(file: Path, skipped: Skipped) -> Iterator[Record]:
    """Yield the usable records of a tar shard in their order; count bad ones."""
    yield from _records([str(file)], skipped)


def _records(
    files: list[str], skipped: Skipped, part: int = 0, parts: int = 1
) -> Generator[Record, None, int]:
    """Yield the usable records among every ``parts``-th sample of some shards; return the sample count."""
    given = 0
    for number, sample in enumerate(_samples(files, skipped)):
        if number % parts != part:
            continue
        try:
            record = record_from_json(sample["json"], sample["jpg"], sample["__key__"])
        except KeyError as error:
            skipped.add("incomplete samples", f"{sample['__key__']} has no {error}")
        except ValueError as error:
            skipped.add("bad annotations", str(error))
        else:
            given += 1
            yield record
    return given


def _samples(files: list[str], skipped: Skipped) -> Iterator[dict[str, Any]]:
    def report_broken_shard(error: Exception) -> bool:
        skipped.add("broken shards", repr(error))
        return True

    shards = wds.SimpleShardList(files)
    return iter(wds.DataPipeline(shards, wds.tarfile_to_samples(handler=report_broken_shard)))
