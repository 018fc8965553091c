# SPDX-License-Identifier: Apache-2.0
"""The two tables of a unit: its images and its masks, a row each, as Parquet files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ..segment.rle import encode_rle
from .places import import_pyarrow

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from ..segment import Masks
    from .readers import Item
    from .unit import Unit

#: Rows that are held in memory before they are written as a row group.
GROUP = 4096
MASKS, FRAMES = "masks", "frames"


def schemas() -> dict[str, Any]:
    """Return the schemas of the tables ``masks`` and ``frames``."""
    pa = import_pyarrow()
    where = [
        pa.field("recording", pa.string(), nullable=False),
        pa.field("topic", pa.string(), nullable=False),
        pa.field("stamp", pa.int64()),
        pa.field("frame", pa.int64()),
        pa.field("name", pa.string(), nullable=False),
    ]
    mask = [
        pa.field("object_id", pa.int32(), nullable=False),
        pa.field("class", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("area", pa.int64(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("rle", pa.string(), nullable=False),
    ]
    image = [
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("masks", pa.int32(), nullable=False),
        pa.field("error", pa.string()),
    ]
    return {MASKS: pa.schema(where + mask), FRAMES: pa.schema(where + image)}


class TableFile:
    """A Parquet file of one table, written in row groups of equal length, independent of the calls.

    Args:
        path: a new file.
        table: ``masks`` or ``frames``.
        metadata: kept with the schema.
    """

    def __init__(self, path: Path, table: str, metadata: dict[str, str]) -> None:
        pa = import_pyarrow()
        self._schema = schemas()[table].with_metadata(metadata)
        self._writer = pa.parquet.ParquetWriter(str(path), self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self.count = 0

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._flush(len(self._rows) if kind is None else 0)
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= GROUP:
            self._flush(GROUP)

    def _flush(self, count: int) -> None:
        rows, self._rows = self._rows[:count], self._rows[count:]
        if rows:
            table = import_pyarrow().Table.from_pylist(rows, schema=self._schema)
            self._writer.write_table(table, row_group_size=GROUP)


def where(unit: Unit, item: Item) -> dict[str, Any]:
    """Return the columns that identify an image."""
    return {
        "recording": printable(unit.source),
        "topic": unit.topic,
        "stamp": item.stamp,
        "frame": item.frame,
        "name": printable(item.name),
    }


def printable(name: str) -> str:
    """Return a file name as Unicode: bytes that are no UTF-8 are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def frame_row(unit: Unit, item: Item, size: tuple[int, int] | None, masks: int, error: str) -> dict[str, Any]:
    """Return the row of an image; ``size`` is (H, W) in pixels, None where it cannot be read."""
    height, width = size or (None, None)
    return {**where(unit, item), "height": height, "width": width, "masks": masks, "error": error or None}


def mask_rows(unit: Unit, item: Item, masks: Masks, names: dict[int, str]) -> list[dict[str, Any]]:
    """Return a row for each mask; ``names`` are classes by object id."""
    rows = []
    for index in range(len(masks)):
        part, (y, x) = masks.crop(index)
        full = np.zeros(masks.image_size, bool)
        full[y : y + part.shape[0], x : x + part.shape[1]] = part
        identity, score = int(masks.object_ids[index]), float(masks.scores[index])
        rows.append(region_row(unit, item, full, identity, names.get(identity), score, masks.boxes[index]))
    return rows


def region_row(
    unit: Unit, item: Item, mask: np.ndarray, identity: int, name: str | None, score: float, box: Any
) -> dict[str, Any]:
    """Return the row of a mask, ``(H, W)`` bool; ``box`` is x0, y0, x1, y1 in pixels."""
    rle = encode_rle(mask)
    return {
        **where(unit, item),
        "object_id": identity,
        "class": name,
        "score": score,
        "box": [float(value) for value in box],
        "area": int(np.count_nonzero(mask)),
        "height": rle["size"][0],
        "width": rle["size"][1],
        "rle": rle["counts"],
    }


def metadata_of(unit: Unit) -> dict[str, str]:
    """Return the metadata of a part's file."""
    return {"unit": unit.to_json(), "content": unit.content}


def unit_of(metadata: dict[bytes, bytes]) -> Unit:
    """Return the unit that :func:`metadata_of` describes."""
    from .unit import Unit

    return Unit.from_json(metadata[b"unit"].decode("utf-8", "surrogatepass"))


def counts_of(path: Any, fs: Any) -> tuple[int, dict[bytes, bytes]]:
    """Return the number of rows and the metadata of a part, from its footer."""
    footer = import_pyarrow().parquet.read_metadata(path, filesystem=fs)
    return footer.num_rows, dict(footer.metadata or {})


def dumps(content: Any) -> str:
    """Return JSON that is the same for the same content."""
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
