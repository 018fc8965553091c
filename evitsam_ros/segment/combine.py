# SPDX-License-Identifier: Apache-2.0
"""Put the masks of prompted objects beside those of everything mode."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np

from .iou import mask_iou_matrix
from .masks import Masks
from .timing import add_timings

#: IoU from which a mask of everything mode is the prompted object.
SAME_OBJECT = 0.5


def beside(prompted: Masks, others: Masks) -> Masks:
    """Return both kinds of masks; of two masks of one object the prompted one.

    Args:
        prompted: masks that keep their ids.
        others: of the same image; one that has the id of a prompted mask gets another.

    Returns:
        The prompted masks, then the others; timings are the sums.
    """
    timings = add_timings(prompted.timings, others.timings)
    if len(prompted) and len(others):
        iou = mask_iou_matrix(others.unpadded_logits > 0, prompted.unpadded_logits > 0)
        others = others.select(iou.max(1) < SAME_OBJECT)
    ids = _other_ids(prompted.object_ids, others.object_ids)
    indices = None
    if prompted.mask_indices is not None and others.mask_indices is not None:
        indices = np.concatenate([prompted.mask_indices, others.mask_indices])
    has_prompts = len(prompted.prompts) == len(prompted) and len(others.prompts) == len(others)
    return replace(
        others,
        logits=np.concatenate([prompted.logits, others.logits]),
        scores=np.concatenate([prompted.scores, others.scores]),
        object_ids=np.concatenate([prompted.object_ids, ids]).astype(int),
        prompts=(*prompted.prompts, *others.prompts) if has_prompts else (),
        mask_indices=indices,
        timings=timings,
    )


def _other_ids(taken: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return ids, those in ``taken`` replaced by the lowest that are free."""
    used = {*taken.tolist(), *ids.tolist()}
    free = (identity for identity in count(1) if identity not in used)
    blocked = set(taken.tolist())
    return np.array([next(free) if identity in blocked else identity for identity in ids.tolist()], int)
