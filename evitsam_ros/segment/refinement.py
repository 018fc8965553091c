# SPDX-License-Identifier: Apache-2.0
"""Refine the masks of everything mode: decode them again, by views along their outlines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .decoder_inputs import prompt_arrays
from .iou import mask_iou
from .quadtree_view import Views, focus_point, needs_refinement, outlines

if TYPE_CHECKING:
    from .frame import Embedding
    from .masks import Masks
    from .segmenter import Segmenter

#: Min IoU of a refined mask with the first one.
SAME_OBJECT = 0.5


def refine_masks(segmenter: Segmenter, embedding: Embedding, masks: Masks) -> Masks:
    """Decode masks with coarse outlines again. If the new mask is of another object, the first one stays."""
    points = {row: focus_point(prompt) for row, prompt in enumerate(masks.prompts)}
    focused = {row: point for row, point in points.items() if point is not None}
    if not focused or masks.mask_indices is None:
        return masks
    rows = np.array(list(focused), int)
    outline = outlines(masks.logits[rows], masks.transform)
    coarse = needs_refinement(np.stack(list(focused.values())), outline, masks.transform)
    rows, outline = rows[coarse], outline[coarse]
    logits = masks.logits.copy()
    for members, _ in segmenter.batches([masks.prompts[row] for row in rows], foveal=True):
        part = rows[members]
        views = Views.along(outline[members], masks.transform)
        coords, labels, *_ = prompt_arrays([masks.prompts[row] for row in part], masks.transform)
        drawn, _ = segmenter.runtime.decode_foveal(embedding.data, coords, labels, views.cells())
        found = views.scatter_to_image(drawn[np.arange(len(part)), masks.mask_indices[part]])
        same = mask_iou(found > 0, logits[part] > 0) >= SAME_OBJECT
        logits[part[same]] = found[same]
    return replace(masks, logits=logits)
