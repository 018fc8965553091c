# SPDX-License-Identifier: Apache-2.0
"""COCO's compressed run-length encoding of a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Five bits of a value a character: 7 of them hold 32 bits with the sign, and no run is longer.
_GROUPS = 7
#: Character of a group of zeros; the codes of the others follow.
_FIRST = 48


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask as COCO does.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        ``size`` [H, W] and ``counts``, a str: lengths of the runs column by column, background first.
    """
    pixels = np.asarray(mask, bool).ravel(order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    starts_inside = [0] if pixels.size and pixels[0] else []
    edges = np.concatenate([[0], starts_inside, changes, [pixels.size]]).astype(np.int64)
    return {"size": [int(n) for n in mask.shape], "counts": _as_text(np.diff(edges))}


def _as_text(counts: np.ndarray) -> str:
    """Write run lengths, from the fourth on as the difference to the one two before."""
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    codes, used = np.zeros((len(rest), _GROUPS), np.uint8), np.zeros((len(rest), _GROUPS), bool)
    more = np.ones(len(rest), bool)
    for place in range(_GROUPS):
        group = rest & 0x1F
        rest >>= 5  # arithmetic: a negative value ends at -1
        used[:, place] = more
        goes_on = rest != np.where(group & 0x10, -1, 0)
        codes[:, place] = group + np.where(goes_on, 0x20, 0) + _FIRST
        more &= goes_on
    return codes[used].tobytes().decode("ascii")
