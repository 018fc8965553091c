# SPDX-License-Identifier: Apache-2.0
"""Check COCO's compressed RLE before pycocotools reads it: its C code does not validate the input.

A mask's pixels, column by column, are alternating runs outside and inside. From the fourth run on, the
difference to the run two before is stored. A number is a sequence of characters of 5 bits each, the lowest
first; a sixth bit marks that more follow.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as codec

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Number of characters checked at a time, so that the work fits the processor's cache.
CHUNK = 2**17
#: Max characters of a number: 30 bits, more than the pixels of any image.
MAX_CHARACTERS = 6
#: Max characters of a mask: one for every other pixel of 16 million.
MAX_LENGTH = 2**23


class Fault(IntEnum):
    """Classify the fault of a compressed RLE's counts."""

    NONE = 0
    DAMAGED = 1  # invalid characters, too many, or truncated within a number
    MISFIT = 2  # a negative run, or runs that do not add up to the image
    LOOSE = 3  # valid, but with empty runs, with which pycocotools computes wrong boxes


def find_faults(strings: Sequence[bytes], pixels: Sequence[int]) -> np.ndarray:
    """Check the counts of masks.

    Args:
        strings: the counts of each mask.
        pixels: the number of pixels of each mask's image.

    Returns:
        ``(N,)`` int8, a :class:`Fault` each.
    """
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    areas = np.array(pixels, np.int64)
    faults = np.full(len(strings), Fault.DAMAGED, np.int8)
    turns = np.cumsum(lengths) // CHUNK
    for turn in np.unique(turns):
        part = np.flatnonzero((turns == turn) & (lengths > 0) & (lengths <= MAX_LENGTH))
        if not len(part):
            continue
        data = np.frombuffer(b"".join([strings[i] for i in part.tolist()]), np.uint8) - np.uint8(48)
        stops = np.cumsum(lengths[part])
        starts = stops - lengths[part]
        right = (np.maximum.reduceat(data, starts) < 64) & (data[stops - 1] < 32)
        if not right.all():
            data = data[np.repeat(right, lengths[part])]
            part = part[right]
            stops = np.cumsum(lengths[part])
        if len(part):
            faults[part] = _check_runs(data, stops, areas[part])
    return faults


def _check_runs(data: np.ndarray, stops: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Return the faults of concatenated masks that end at ``stops``."""
    runs, firsts, long = _runs(data, stops)
    faults = np.zeros(len(stops), np.int8)
    empty = runs == 0
    empty[firsts] = False
    faults[np.logical_or.reduceat(empty, firsts)] = Fault.LOOSE
    low, total = np.minimum.reduceat(runs, firsts), np.add.reduceat(runs, firsts, dtype=np.int64)
    faults[(low < 0) | (total != areas)] = Fault.MISFIT
    faults[np.logical_or.reduceat(long, firsts)] = Fault.DAMAGED
    return faults


def _runs(data: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all runs in pixels, the index of each mask's first one, and which have too many characters."""
    ends = np.flatnonzero(data < 32)
    firsts = np.searchsorted(ends, np.concatenate([[0], stops[:-1]]))
    sizes = np.diff(ends, prepend=-1)
    values = (data[ends] & 31).astype(np.int32)
    values -= (values & 16) << 1
    for place in range(1, min(int(sizes.max()), MAX_CHARACTERS)):
        more = np.flatnonzero(sizes > place)
        values[more] = (values[more] << 5) | (data[ends[more] - place] & 31)
    heads = values[firsts]
    # In 32 bits with overflow, as pycocotools counts.
    sums = np.empty_like(values)
    np.cumsum(values[0::2], dtype=np.int32, out=sums[0::2])
    np.cumsum(values[1::2], dtype=np.int32, out=sums[1::2])
    # A cumulative sum over every second number crosses masks: subtract the sum of the masks before.
    same, other = sums[firsts], np.where(firsts > 0, sums[firsts - 1], np.int32(0))
    lasts = np.concatenate([firsts[1:], [len(ends)]])
    for parity in (0, 1):
        base = np.where(firsts % 2 == parity, same, other)
        count = (lasts - parity + 1) // 2 - (firsts - parity + 1) // 2
        sums[parity::2] -= np.repeat(base, count)
    sums[firsts] = heads
    return sums, firsts, sizes > MAX_CHARACTERS


def runs_of(counts: bytes) -> list[int]:
    """Return the runs of one mask with the fault LOOSE or none."""
    data = np.frombuffer(counts, np.uint8) - np.uint8(48)
    return _runs(data, np.array([len(data)]))[0].tolist()


def from_runs(runs: list[int], height: int, width: int) -> dict:
    """Compress runs that add up to the image; merge empty runs with their neighbours."""
    lengths = np.array(runs, np.int64)
    inside = np.arange(len(runs)) % 2
    inside, lengths = inside[lengths > 0], lengths[lengths > 0]
    starts = np.flatnonzero(np.diff(inside, prepend=2))
    joined = np.add.reduceat(lengths, starts).tolist()
    counts_with_first_run = [0, *joined] if inside[0] else joined
    return codec.frPyObjects({"size": [height, width], "counts": counts_with_first_run}, height, width)
