# SPDX-License-Identifier: Apache-2.0
"""Images in which there is nothing to segment: whatever everything mode shows there is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..empty_images import KINDS

if TYPE_CHECKING:
    from evitsam_ros.segment import Segmenter

#: (H, W) of the images, as cameras have them and as a portrait.
SIZES = ((480, 640), (720, 1280), (640, 480))
#: Images of each kind and size.
EACH = 4


def score_empty_images(segmenter: Segmenter, top_n: int) -> dict[str, dict[str, float]]:
    """Count what everything mode shows where there is nothing.

    Returns:
        For each kind of image ``shown``, the mean number of masks an image, ``max``, the largest one, and
        ``area``, the mean share of the image that they cover.
    """
    table = {}
    for kind, draw in KINDS.items():
        rng = np.random.default_rng(0)
        counts, areas = [], []
        for size in SIZES:
            for _ in range(EACH):
                labels = segmenter.everything(draw(size, rng), top_n).label_map()
                counts.append(len(np.unique(labels[labels > 0])))
                areas.append(float((labels > 0).mean()))
        table[kind] = {"shown": float(np.mean(counts)), "max": max(counts), "area": float(np.mean(areas))}
    return table
