# SPDX-License-Identifier: Apache-2.0
"""COCO-format annotation files, read as class-agnostic masks.

The files are not trusted: unusable entries are skipped and counted.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .instances import check_instances, check_size
from .json_file import read_json
from .records import DataError, Record, Skipped, Unusable, brief

log = logging.getLogger(__name__)

EXPECTED = "a COCO instances file"


@dataclass(frozen=True)
class ImageEntry:
    """Describe an image of a file: its name relative to the folder of the images, and its size in pixels."""

    name: str
    height: int
    width: int


def read_content(file: Path) -> dict[str, Any]:
    """Read the JSON of a COCO or LVIS instances file.

    Raises:
        DataError: the file cannot be read, or has no list of images or of annotations.
    """
    content = read_json(file, EXPECTED)
    for part in ("images", "annotations"):
        if not isinstance(content.get(part), list):
            raise DataError(f"{file}: expected {EXPECTED}; {part} is {brief(content.get(part))}, not a list")
    return content


def read_info(file: Path) -> dict[str, Any]:
    """Read ``info`` of an annotation file; empty if it has none.

    Raises:
        DataError: the file cannot be read.
    """
    info = read_json(file, EXPECTED).get("info")
    return info if isinstance(info, dict) else {}


def read_annotations(file: Path, images: Path, skipped: Skipped | None = None) -> list[Record]:
    """Read one COCO or LVIS instances file; skip and count unusable entries.

    Args:
        file: the JSON, with RLE or polygons.
        images: the folder that its ``file_name`` entries are relative to.
        skipped: counts unusable entries; None: they are only logged.

    Raises:
        DataError: the file is missing or not in COCO format.
    """
    return records_from_content(read_content(file), file, images, skipped)


def records_from_content(
    content: dict[str, Any], file: Path, images: Path, skipped: Skipped | None = None
) -> list[Record]:
    """Return the records of the content that :func:`read_content` read from ``file``, as
    :func:`read_annotations`.
    """
    skipped = skipped if skipped is not None else Skipped()

    def report(entry: str, fault: Unusable) -> None:
        skipped.add(fault.reason, f"{file.name} {entry}: {fault.detail}")

    entries, rejected = check_images(content["images"], images, report)
    usable = [
        a
        for a, crowd in annotations_of_images(content["annotations"], entries, rejected, report)
        if not crowd
    ]
    instances = check_instances(
        usable,
        [(entries[a["image_id"]].height, entries[a["image_id"]].width) for a in usable],
        lambda place, fault: report(f"annotation {brief(usable[place].get('id'))}", fault),
    )
    order, bounds = _by_image([usable[place]["image_id"] for place in instances.places], list(entries))
    boxes, annotators = instances.boxes[order], instances.annotators[order]
    source, records = file.stem.rsplit("_", 1)[0], []
    for (identity, entry), start, stop in zip(entries.items(), bounds[:-1], bounds[1:], strict=True):
        if start == stop:
            report(f"image {brief(identity)}", Unusable("images without masks", brief(entry.name)))
            continue
        rles = [instances.rles[row] for row in order[start:stop]]
        size, rows = (entry.height, entry.width), slice(start, stop)
        image = images / entry.name
        records.append(Record(entry.name, image, source, *size, rles, boxes[rows], annotators[rows]))
    return records


def _by_image(owners: list, identities: list) -> tuple[list[int], list[int]]:
    """Group rows by image: return their order, and the start of each image's rows and the end of the last."""
    number = {identity: index for index, identity in enumerate(identities)}
    numbers = np.array([number[owner] for owner in owners], int)
    order = np.argsort(numbers, kind="stable")
    return order.tolist(), np.searchsorted(numbers[order], np.arange(len(identities) + 1)).tolist()


def read_folder(data: Path, names: list[str]) -> list[Record]:
    """Read ``annotations/<name>.json`` for every name; a name may contain ``*`` (``*_train``).

    Raises:
        ValueError: no file matches a name.
        DataError: a file cannot be read, or no image has a usable mask.
    """
    skipped, records = Skipped(), []
    for file in annotation_files(data, names):
        records += read_annotations(file, data / "images", skipped)
    if not records:
        raise no_masks(data, names, skipped)
    log.info("%d images, %d masks; skipped %s", len(records), sum(len(r.rles) for r in records), skipped)
    return records


def annotation_files(data: Path, names: list[str]) -> list[Path]:
    """List the annotation files of a folder that match each name.

    Raises:
        ValueError: no file matches a name.
    """
    found = []
    for name in names:
        files = sorted((data / "annotations").glob(f"{name}.json"))
        if not files:
            raise ValueError(f"no annotation file matches {data / 'annotations' / name}.json")
        found += files
    return found


def no_masks(data: Path, names: list[str], skipped: Skipped) -> DataError:
    """Make the error for annotation files without a usable mask, with the reasons."""
    return DataError(
        f"no image with a usable mask in {data / 'annotations'} ({', '.join(names)}); skipped: "
        f"{skipped.explain()}"
    )


Report = Callable[[str, Unusable], None]


def check_images(entries: list, folder: Path | None, report: Report) -> tuple[dict[Any, ImageEntry], set]:
    """Check ``images`` of a COCO or LVIS file.

    Args:
        entries: ``images`` of the file.
        folder: where the files have to be; None: anywhere.
        report: called with the entry's description and its fault.

    Returns:
        The usable images by id, and the ids of the rejected ones.
    """
    listing, rejected = _Listing(folder), set()
    found: dict[Any, ImageEntry] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or not _is_id(entry.get("id")):
            fault = Unusable("malformed images", f"{brief(entry)}; expected an object with an id")
            report(f"image {number} of the list", fault)
            continue
        identity = entry["id"]
        try:
            size = check_size(entry.get("height"), entry.get("width"))
            image = ImageEntry(listing.check_name(_name(entry)), *size)
            if found.get(identity, image) != image or identity in rejected:
                raise Unusable("images of the same id", f"{brief(image.name)}; expected an id of its own")
            found[identity] = image
        except Unusable as fault:
            report(f"image {brief(identity)}", fault)
            rejected.add(identity)
    # Annotations of an id that two images have belong to neither.
    return {identity: image for identity, image in found.items() if identity not in rejected}, rejected


def annotations_of_images(
    annotations: list, entries: dict[Any, ImageEntry], rejected: set, report: Report
) -> list[tuple[dict[str, Any], bool]]:
    """Return the annotations that belong to a usable image, and whether each is a crowd."""
    usable = []
    for number, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            fault = Unusable("malformed annotations", f"{brief(annotation)}; expected an object")
            report(f"annotation {number} of the list", fault)
            continue
        owner, crowd = annotation.get("image_id"), annotation.get("iscrowd")
        if not _is_id(owner) or owner not in entries:
            if not _is_id(owner) or owner not in rejected:
                fault = Unusable("annotations of no image", f"no image has the id {brief(owner)}")
                report(f"annotation {brief(annotation.get('id'))}", fault)
        elif crowd is None or crowd in (0, 1):
            usable.append((annotation, crowd == 1))
        else:
            fault = Unusable("malformed annotations", f"iscrowd is {brief(crowd)}; expected 0 or 1")
            report(f"annotation {brief(annotation.get('id'))}", fault)
    return usable


def _is_id(value: Any) -> bool:
    return type(value) in (int, str)


def _name(entry: dict) -> Any:
    """Return ``file_name``, or the end of LVIS's ``coco_url`` (``train2017/000000391895.jpg``)."""
    name = entry.get("file_name")
    if name is None and isinstance(entry.get("coco_url"), str):
        name = "/".join(entry["coco_url"].split("/")[-2:])
    return name


class _Listing:
    """List the files of the images' folder, each folder in it once."""

    def __init__(self, root: Path | None) -> None:
        self.root = root
        self._files: dict[str, frozenset[str]] = {}

    def check_name(self, name: Any) -> str:
        """Return the path of an image relative to the folder.

        Raises:
            Unusable: it is no path within the folder, or there is no such file.
        """
        if not isinstance(name, str) or not name or not name.isprintable() or "\\" in name:
            raise Unusable(
                "malformed file names",
                f"file_name is {brief(name)}; expected a path with forward slashes",
            )
        folder, _, base = name.rpartition("/")
        parts = folder.split("/")
        if name.startswith("/") or ".." in parts or base == "..":
            raise Unusable(
                "file names outside the folder",
                f"file_name is {brief(name)}; expected a relative path without ..",
            )
        if self.root is not None and base not in self._listed(self.root, folder):
            raise Unusable(
                "missing images",
                f"{brief(name)} is no file in {self.root}, which file_name is relative to",
            )
        return name if "." not in parts and "" not in parts[1:] else str(PurePosixPath(name))

    def _listed(self, root: Path, folder: str) -> frozenset[str]:
        if folder not in self._files:
            try:
                with os.scandir(root / folder) as entries:
                    names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
            except (OSError, ValueError):
                names = []
            self._files[folder] = frozenset(names)
        return self._files[folder]
