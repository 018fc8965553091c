# SPDX-License-Identifier: Apache-2.0
"""Put the masks of prompted objects beside those of everything mode."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from .iou import mask_iou_matrix
from .timing import add_timings

if TYPE_CHECKING:
    from collections.abc import Collection

    from .masks import CloserMask, Masks

#: IoU from which a mask of everything mode is the prompted object.
SAME_OBJECT = 0.5


def beside(prompted: Masks, others: Masks) -> Masks:
    """Return both kinds of masks; of two masks of one object the prompted one.

    Args:
        prompted: masks that keep their ids.
        others: of the same image, with other ids.

    Returns:
        The prompted masks, then the others; timings are the sums.
    """
    timings = add_timings(prompted.timings, others.timings)
    if len(prompted) and len(others):
        iou = mask_iou_matrix(others.unpadded_logits > 0, prompted.unpadded_logits > 0)
        others = others.select(iou.max(1) < SAME_OBJECT)
    indices = None
    if prompted.mask_indices is not None and others.mask_indices is not None:
        indices = np.concatenate([prompted.mask_indices, others.mask_indices])
    has_prompts = len(prompted.prompts) == len(prompted) and len(others.prompts) == len(others)
    return replace(
        others,
        logits=np.concatenate([prompted.logits, others.logits]),
        scores=np.concatenate([prompted.scores, others.scores]),
        object_ids=np.concatenate([prompted.object_ids, others.object_ids]).astype(int),
        prompts=(*prompted.prompts, *others.prompts) if has_prompts else (),
        mask_indices=indices,
        closer=_closer(prompted) + _closer(others) if prompted.closer or others.closer else (),
        timings=timings,
    )


def _closer(masks: Masks) -> tuple[CloserMask | None, ...]:
    return masks.closer or (None,) * len(masks)


def with_other_ids(masks: Masks, taken: Collection[int]) -> Masks:
    """Return masks with ids that are not in ``taken``: those that were get the lowest free ones."""
    ids, blocked = masks.object_ids.tolist(), set(taken)
    free = (identity for identity in count(1) if identity not in blocked.union(ids))
    return replace(masks, object_ids=np.array([next(free) if i in blocked else i for i in ids], int))
