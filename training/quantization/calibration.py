# SPDX-License-Identifier: Apache-2.0
"""Select calibration images of the training split, never of a held-out one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from evitsam_ros.segment.transform import preprocess

from ..annotations import read_folder
from ..records import readable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from evitsam_ros.bundle import Bundle

    from ..records import Record

#: Suffix of the names of annotation files that may be used for training.
TRAINING = "_train"


def training_records(data: Path, names: list[str], count: int, seed: int = 0) -> list[Record]:
    """Choose ``count`` readable images of the training split at random, the same ones every time.

    Args:
        data: folder with ``images/`` and ``annotations/``.
        names: annotation files without ``.json``; a name may hold ``*``.
        count: all, if there are fewer.
        seed: of the choice.

    Raises:
        ValueError: a name is not of the training split, or no file matches it.
        DataError: a file, or every image, cannot be read.
    """
    for name in names:
        if not name.endswith(TRAINING):
            raise ValueError(
                f"{name} is not of the training split; expected names that end with {TRAINING}, so that no "
                "held-out image is seen"
            )
    records = read_folder(data, names)
    return list(readable(random.Random(seed).sample(records, min(count, len(records)))))


def encoder_input(bundle: Bundle, record: Record) -> np.ndarray:
    """Return the encoder's input ``(1, 3, S, S)`` float32 for an image."""
    return preprocess(record.read_image(), bundle.image_size, bundle.mean, bundle.std)
