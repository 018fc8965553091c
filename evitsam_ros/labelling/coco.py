# SPDX-License-Identifier: Apache-2.0
"""Labels as the COCO file that training reads, beside a folder of their images."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import cv2

from ..io.image_files import write_image
from . import unit as units
from .job import JobError
from .places import Place
from .readers import read_unit
from .rows import FRAMES, MASKS, printable
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .unit import Unit

#: The category of masks without a class.
NO_CLASS = "object"


def write_coco(labels: str, file: Path) -> tuple[int, int]:
    """Write all labels of a folder in COCO format.

    ``file_name`` is relative to ``images/`` beside the file's folder where that is ``annotations/``, as
    training expects it, else to the file's folder. Image files below it are named as they are. Other local
    ones are linked into it; frames of recordings, members of shards and remote images are written into it.

    Args:
        labels: the folder that ``evitsam label`` wrote.
        file: the new JSON file.

    Returns:
        The numbers of images and of masks.

    Raises:
        JobError: The folder holds no labels, or an image file of them is gone.
        OSError: The file cannot be written.
    """
    store = Store(labels)
    store.manifest()
    parts = store.parts()
    if not parts:
        raise JobError(
            f"{labels} holds no labels yet; expected a folder in which 'evitsam label' has finished"
        )
    folder = file.absolute().parent
    root = folder.parent / "images" if folder.name == "annotations" else folder
    new_list = partial(tempfile.TemporaryFile, "w+", dir=folder)
    with new_list() as images, new_list() as masks:
        writer = _Writer(images, masks)
        for key, part in parts.items():
            writer.add_part(store.read(FRAMES, key), store.read(MASKS, key), _Names(part.unit, root))
        writer.write(file)
    return writer.images, writer.masks


class _Names:
    """``file_name`` of a unit's images; makes the image files that are not below the root.

    Frames are numbered by the recording, so that another part of it continues the same folder.
    """

    def __init__(self, unit: Unit, root: Path) -> None:
        self.unit, self.root = unit, root
        stem = unit.key.rpartition("-")[0]
        self._folder = f"{stem}-{_digest(unit)}"
        place = Place(unit.source)
        self._source = place.local if place.is_local and unit.kind == units.IMAGES else None
        # The rows escape bytes that are no UTF-8.
        self._files = {printable(name): name for name in unit.names}
        self._sources: dict[str, Path] = {}
        self._taken: dict[str, str] = {}

    def of(self, frame: int | None, name: str) -> str:
        """Return the path of an image relative to the root; no member of a shard lies outside of it."""
        if self._source is None:
            return self._own(_jpeg_name(name) if name else f"{frame:08}.jpg", name)
        path = self._source / self._files.get(name, name)
        inside = path.is_relative_to(self.root.absolute())
        found = path.relative_to(self.root.absolute()).as_posix() if inside else self._own(name, name)
        self._sources[found] = path
        return found

    def _own(self, path: str, name: str) -> str:
        """Return a path that training reads, of which every name of an image has its own."""
        clean = "".join(each if each.isprintable() and each != "\\" else "_" for each in path)
        if self._taken.setdefault(clean, name) != name:
            clean = f"{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}/{clean}"
        return f"{self._folder}/{clean}"

    def make(self, wanted: set[str]) -> None:
        """Link or write the image files of these names that are not there.

        Raises:
            JobError: An image file of the labels is gone.
        """
        missing = {name for name in wanted if not os.path.lexists(self.root / name)}
        if not missing:
            return
        if self._source is not None:
            for name in missing:
                _link(self._sources[name], self.root / name)
            return
        for item in read_unit(self.unit):
            name = self.of(item.frame, printable(item.name))
            if name in missing and item.image is not None:
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                # Quality 95: the masks were found in the image as it was recorded.
                write_image(target, cv2.cvtColor(item.image, cv2.COLOR_RGB2BGR))


def _jpeg_name(name: str) -> str:
    """Return the path of a shard's member as a JPEG below a folder."""
    path = "/".join(part for part in PurePosixPath(name).parts if part not in ("/", ".."))
    return path if path.lower().endswith((".jpg", ".jpeg")) else f"{path}.jpg"


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise JobError(f"{source} is gone; expected the images that were labelled where they were")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source)


def _digest(unit: Unit) -> str:
    """Distinguish folders of the same name, in any part of the recording."""
    from dataclasses import replace

    whole = replace(unit, first=0, last=None, names=(), sequence=False)
    return whole.key.rpartition("-")[2][:8]


class _Writer:
    """COCO's lists, streamed into two files: a fleet's masks do not fit into memory."""

    def __init__(self, image_file: Any, mask_file: Any) -> None:
        self._image_file, self._mask_file = image_file, mask_file
        self._categories: dict[str, int] = {}
        self.images = self.masks = 0

    def add_part(self, frames: Any, masks: Any, names: _Names) -> None:
        """Add a unit's tables."""
        numbers: dict[tuple, int] = {}
        wanted = set()
        for row in frames.to_pylist():
            if row["height"] is None:
                continue
            self.images += 1
            numbers[row["frame"], row["name"]] = self.images
            name = names.of(row["frame"], row["name"])
            wanted.add(name)
            entry = {"id": self.images, "file_name": name, "width": row["width"], "height": row["height"]}
            _append(self._image_file, entry, self.images)
        names.make(wanted)
        for row in _rows(masks):
            self.masks += 1
            number = numbers[row["frame"], row["name"]]
            _append(self._mask_file, self._annotation(row, number), self.masks)

    def _annotation(self, row: dict[str, Any], image: int) -> dict[str, Any]:
        name = row["class"] or NO_CLASS
        x0, y0, x1, y1 = row["box"]
        return {
            "id": self.masks,
            "image_id": image,
            "track_id": row["object_id"],
            "category_id": self._categories.setdefault(name, len(self._categories) + 1),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": row["area"],
            "iscrowd": 0,
            "score": row["score"],
            "segmentation": {"size": [row["height"], row["width"]], "counts": row["rle"]},
        }

    def write(self, file: Path) -> None:
        """Put the lists together."""
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=file.absolute().parent)
        path = Path(temporary)
        try:
            with os.fdopen(handle, "w") as out:
                categories = [{"id": number, "name": name} for name, number in self._categories.items()]
                out.write('{"images": [')
                _copy(self._image_file, out)
                out.write('],\n"annotations": [')
                _copy(self._mask_file, out)
                out.write(f'],\n"categories": {json.dumps(categories)}}}\n')
            path.chmod(0o644)
            path.replace(file)
        finally:
            path.unlink(missing_ok=True)


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=1024):
        yield from batch.to_pylist()


def _append(file: Any, entry: dict[str, Any], number: int) -> None:
    file.write(("" if number == 1 else ",\n") + json.dumps(entry))


def _copy(source: Any, out: Any) -> None:
    source.seek(0)
    while text := source.read(1 << 20):
        out.write(text)
