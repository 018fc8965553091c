# SPDX-License-Identifier: Apache-2.0
"""Split prompts into batches of few sizes, for a runtime that compiles every new shape.

With OpenVINO a shape's first call takes a tenth of a second longer, and its plan stays in memory; in
everything mode nearly every frame would bring new ones. Rows of a decoder's batch are independent, so padding
and cropping do not change the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..bundle import HIGH_RES

SIZES = (1, 2, 4, 8, 16, 32, 64)
#: Share of a portion that may be filled up rather than cut off.
SPARE = 0.25
#: Inputs that all prompts share.
SHARED = ("image_embeddings", *HIGH_RES)

Run = Callable[[dict[str, Any]], list[np.ndarray]]


def buckets(count: int) -> Iterator[tuple[int, int]]:
    """(rows, size) of each portion: the rows add up to ``count``, each portion is filled up to its size."""
    while count:
        above = next((size for size in SIZES if size >= count), SIZES[-1])
        fits = above if above - count <= SPARE * above else max(size for size in SIZES if size <= count)
        rows = min(fits, count)
        yield rows, fits
        count -= rows


def in_buckets(run: Run) -> Run:
    """``run`` of a decoder, for any number of prompts."""

    def run_in_portions(inputs: dict[str, Any]) -> list[np.ndarray]:
        count, start, found = len(inputs["point_coords"]), 0, []
        for rows, size in buckets(count):
            # Clipping repeats the last prompt. A mask prompt may have one row for all.
            chosen = np.minimum(np.arange(start, start + size), start + rows - 1)
            portion = {
                name: value if name in SHARED or len(value) != count else value[chosen]
                for name, value in inputs.items()
            }
            found.append([output[:rows] for output in run(portion)])
            start += rows
        return found[0] if len(found) == 1 else [np.concatenate(parts) for parts in zip(*found, strict=True)]

    return run_in_portions
