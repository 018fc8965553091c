# SPDX-License-Identifier: Apache-2.0
"""Score everything mode on images without objects: each published mask is a false positive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..empty_images import KINDS

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

#: (H, W) of the images: camera formats and a portrait.
SIZES = ((480, 640), (720, 1280), (640, 480))
#: Images of each kind and size.
EACH = 4


def score_empty_images(segmenter: Segmenter, max_prompts: int) -> dict[str, dict[str, float]]:
    """Count the false positives of everything mode on images without objects.

    Returns:
        For each kind of image ``shown``, the mean number of masks per image, ``max``, the maximum, and
        ``area``, the mean share of the image that they cover.
    """
    table = {}
    for kind, draw in KINDS.items():
        rng = np.random.default_rng(0)
        counts, areas = [], []
        for size in SIZES:
            for _ in range(EACH):
                labels = segmenter.everything(draw(size, rng), max_prompts).label_map()
                counts.append(len(np.unique(labels[labels > 0])))
                areas.append(float((labels > 0).mean()))
        table[kind] = {"shown": float(np.mean(counts)), "max": max(counts), "area": float(np.mean(areas))}
    return table
