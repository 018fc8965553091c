# SPDX-License-Identifier: Apache-2.0
"""Decode RVL, a lossless code for depth images (A. D. Wilson, "Fast Lossless Depth Image Compression", 2017).

The stream consists of numbers. A number is a sequence of groups of three bits, low groups first; a fourth bit
is set if more groups follow. Eight groups fill a 32-bit word from its high end. The numbers repeat this
pattern: the count of zeros, the count of values that are not zero, and for each of these the difference to
the value before it (zigzag: 0, -1, 1, -2, …).
"""

from __future__ import annotations

import numpy as np

#: Maximum number of groups of a number; those of a 16-bit image fit into it.
MAX_GROUPS = 10


class RvlError(ValueError):
    """The stream is not valid RVL."""


def decode(data: bytes, count: int) -> np.ndarray:
    """Decode ``(count,)`` uint16 values.

    Raises:
        RvlError: The stream ends early, or has more values.
    """
    numbers = _numbers(data)
    heads, runs = _runs(numbers.tolist(), count)
    end = heads[-1] + 2 + runs[-1] if heads else 0
    is_difference = np.ones(end, bool)
    is_difference[heads] = is_difference[np.add(heads, 1, dtype=int)] = False
    differences = numbers[:end][is_difference]
    values = np.cumsum((differences >> 1) ^ -(differences & 1)).astype(np.uint16)
    decoded = np.zeros(count, np.uint16)
    decoded[np.repeat(np.arange(len(runs)) % 2 > 0, runs)] = values
    return decoded


def _runs(numbers: list[int], count: int) -> tuple[list[int], list[int]]:
    """Return the indices of the run-length pairs (zeros, values), and the lengths, flattened."""
    heads: list[int] = []
    runs: list[int] = []
    place = done = 0
    while done < count:
        if place + 2 > len(numbers):
            raise RvlError("is cut off")
        zeros, values = numbers[place], numbers[place + 1]
        done += zeros + values
        if done > count or not zeros + values:
            raise RvlError(f"does not have the {count} pixels that it claims")
        heads.append(place)
        runs += (zeros, values)
        place += 2 + values
    if place > len(numbers):
        raise RvlError("is cut off")
    return heads, runs


def _numbers(data: bytes) -> np.ndarray:
    """Return all numbers of a stream, int64."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    groups = (words[:, None] >> np.arange(28, -4, -4, dtype=np.uint32)).ravel() & 15
    ends = np.flatnonzero(groups < 8)
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    if len(ends) and (ends - starts).max() >= MAX_GROUPS:
        raise RvlError("has a number that no image has")
    groups = (groups[: ends[-1] + 1] if len(ends) else groups[:0]).astype(np.int64) & 7
    places = np.arange(len(groups)) - np.repeat(starts, ends - starts + 1)
    return np.add.reduceat(groups << (3 * places), starts) if len(ends) else groups
