# SPDX-License-Identifier: Apache-2.0
"""Masks that the tests of measures share."""

import numpy as np
from pycocotools import mask as codec


def rectangle(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def encoded(mask: np.ndarray) -> dict:
    rle = codec.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(n) for n in rle["size"]], "counts": rle["counts"].decode()}
