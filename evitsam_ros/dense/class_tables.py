# SPDX-License-Identifier: Apache-2.0
"""Class names and colours of the data sets, in the order of the networks' outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ade20k import CLASSES as ADE20K

#: Class number of pixels that training and evaluation exclude.
IGNORED = 255


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set.

    Attributes:
        names: unique, in the order of the network's outputs.
        colours: RGB, 0..255; two classes may have the same one.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) < IGNORED or len(set(self.names)) != len(self.names):
            raise ValueError(f"{len(self.names)} class names; expected 1 to {IGNORED - 1} different ones")

    @property
    def palette(self) -> np.ndarray:
        """``(classes + 1, 3)`` uint8 RGB by the value of a label map: 0 is void, and black."""
        return np.array([(0, 0, 0), *self.colours], np.uint8)


def _table(rows: tuple[tuple[str, tuple[int, int, int]], ...]) -> ClassTable:
    names = [name for name, _ in rows]
    # A name of two classes of the list gets its position as a suffix.
    unique = [f"{n} {names[:i].count(n) + 1}" if n in names[:i] else n for i, n in enumerate(names)]
    return ClassTable(tuple(unique), tuple(colour for _, colour in rows))


_CITYSCAPES = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)
#: The 11 classes that the field reports, with the colours of the original data set.
_CAMVID = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
CLASS_TABLES = {"cityscapes": _table(_CITYSCAPES), "ade20k": _table(ADE20K), "camvid": _table(_CAMVID)}


def class_table(dataset: str) -> ClassTable:
    """Look up the classes of a data set.

    Raises:
        ValueError: the data set has no table; the message lists those with one.
    """
    if dataset not in CLASS_TABLES:
        raise ValueError(f"data set {dataset!r} has no class table; expected {', '.join(CLASS_TABLES)}")
    return CLASS_TABLES[dataset]
