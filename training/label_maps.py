# SPDX-License-Identifier: Apache-2.0
"""Read images with label maps in the folder layouts of CamVid, Cityscapes and ADE20K.

CamVid has the layout of the SegNet tutorial. ADE20K is the scene parsing benchmark (ADEChallengeData2016),
not the full ADE20K, which has coloured label maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evitsam_ros.dense.class_tables import IGNORED
from evitsam_ros.io.image_header import HeaderError, encoded_image_size

from .image_file import read_rgb
from .records import DataError

if TYPE_CHECKING:
    from pathlib import Path

#: Entry of a lookup table for invalid values.
INVALID = -1
#: ``labelId`` of each class of Cityscapes, in the order of the classes.
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


@dataclass(frozen=True)
class LabelRecord:
    """Refer to an image and its label map.

    Attributes:
        name: the image's name in its data set.
        image, labels: files.
        lookup: ``(256,)`` int16, class number by the value of the file, :data:`IGNORED` or :data:`INVALID`.
    """

    name: str
    image: Path
    labels: Path
    lookup: np.ndarray

    def read_image(self) -> np.ndarray:
        """Read the image as ``(H, W, 3)`` uint8 RGB; raise ``ValueError`` with its name on failure."""
        return read_photograph(self.image)

    def read_labels(self) -> np.ndarray:
        """Read the label map as ``(H, W)`` uint8 class numbers, :data:`IGNORED` for pixels without a class.

        Raises:
            ValueError: the file is missing, damaged, not a label map, or has an invalid label.
        """
        try:
            data = np.frombuffer(self.labels.read_bytes(), np.uint8)
            values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        except (OSError, cv2.error) as error:
            raise ValueError(f"{self.name}: {self.labels} cannot be read: {error}") from error
        if values is None or values.ndim != 2 or values.dtype != np.uint8:
            raise ValueError(f"{self.name}: {self.labels} is not a label map; expected one channel of 8 bits")
        classes = self.lookup[values]
        if (classes == INVALID).any():
            wrong = int(values[classes == INVALID][0])
            raise ValueError(f"{self.name}: {self.labels} has the value {wrong}, which is not a label")
        return classes.astype(np.uint8)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Read image and label map; raise ``ValueError`` if they differ in size."""
        image, labels = self.read_image(), self.read_labels()
        if image.shape[:2] != labels.shape:
            sizes = [f"{width}x{height}" for height, width in (image.shape[:2], labels.shape)]
            raise ValueError(f"{self.name}: the image is {sizes[0]}, its label map {sizes[1]}")
        return image, labels


def read_photograph(path: Path) -> np.ndarray:
    """Read a JPEG or PNG of any size as ``(H, W, 3)`` uint8 RGB; raise ``ValueError`` with the fault.

    Its EXIF orientation is ignored: label maps and other readers use the stored pixels.
    """
    try:
        data = path.read_bytes()
        return read_rgb(data, encoded_image_size(data), apply_exif=False)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (HeaderError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def camvid(root: Path, split: str) -> list[LabelRecord]:
    """``SPLIT/NAME.png`` and ``SPLITannot/NAME.png``; ids 0 to 10, 11 is void."""
    lookup = _lookup({**{i: i for i in range(11)}, 11: IGNORED})
    folder = _folder(root, split)
    return [
        LabelRecord(path.name, path, root / f"{split}annot" / path.name, lookup)
        for path in sorted(folder.glob("*.png"))
    ]


def cityscapes(root: Path, split: str) -> list[LabelRecord]:
    """``leftImg8bit/SPLIT/CITY/X_leftImg8bit.png`` and ``gtFine/SPLIT/CITY/X_gtFine_labelIds.png``."""
    ignored = {i: IGNORED for i in (*range(34), 255)}
    lookup = _lookup({**ignored, **{label: number for number, label in enumerate(CITYSCAPES_IDS)}})
    folder = _folder(root / "leftImg8bit", split)
    records = []
    for path in sorted(folder.glob("*/*_leftImg8bit.png")):
        name = path.name.removesuffix("_leftImg8bit.png")
        labels = root / "gtFine" / split / path.parent.name / f"{name}_gtFine_labelIds.png"
        records.append(LabelRecord(name, path, labels, lookup))
    return records


def ade20k(root: Path, split: str) -> list[LabelRecord]:
    """``images/SPLIT/NAME.jpg`` and ``annotations/SPLIT/NAME.png``; 0 is void, then come the classes."""
    lookup = _lookup({0: IGNORED, **{i + 1: i for i in range(150)}})
    folder = _folder(root / "images", split)
    return [
        LabelRecord(path.stem, path, root / "annotations" / split / f"{path.stem}.png", lookup)
        for path in sorted(folder.glob("*.jpg"))
    ]


LAYOUTS = {"camvid": camvid, "cityscapes": cityscapes, "ade20k": ade20k}


def read_label_maps(kind: str, root: Path, split: str) -> list[LabelRecord]:
    """List a split of a data set and check that every image has a label map.

    Raises:
        DataError: the folder does not exist, has no images, or a label map is missing.
    """
    records = LAYOUTS[kind](root, split)
    expected = " ".join((LAYOUTS[kind].__doc__ or "").split())
    if not records:
        raise DataError(f"{root} has no images of {kind}'s split {split!r}; expected {expected}")
    missing = next((record.labels for record in records if not record.labels.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing} is missing; expected {expected}")
    return records


def _folder(parent: Path, split: str) -> Path:
    folder = parent / split
    if not folder.is_dir():
        found = sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
        raise DataError(f"there is no folder {folder}; {parent} has {', '.join(found) or 'no folders'}")
    return folder


def _lookup(values: dict[int, int]) -> np.ndarray:
    lookup = np.full(256, INVALID, np.int16)
    for value, number in values.items():
        lookup[value] = number
    return lookup
