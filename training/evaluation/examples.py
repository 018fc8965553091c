# SPDX-License-Identifier: Apache-2.0
"""Draw the best, the median and the worst masks for visual inspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from ..records import Record

SIDE, COLUMNS = 220, 6


@dataclass(frozen=True)
class Example:
    """Hold one prompted mask: its IoU, its record and index, and the predicted ``(H, W)`` bool mask."""

    iou: float
    record: Record
    index: int
    mask: np.ndarray


class Examples:
    """Collect examples; :meth:`write` draws rows of the best, the median and the worst."""

    def __init__(self) -> None:
        self.all: list[tuple[float, Record, int, np.ndarray]] = []

    def add(self, case: Example) -> None:
        """Store an example, with its mask packed to bits."""
        # Packed: a thousand full-size masks are a few megabytes then.
        self.all.append((case.iou, case.record, case.index, np.packbits(case.mask, axis=1)))

    def write(self, path: Path) -> None:
        """Write three rows of tiles; the human outline is green, the predicted one red."""
        ranked = sorted(self.all, key=lambda entry: -entry[0])
        middle = max(0, len(ranked) // 2 - COLUMNS // 2)
        parts = [ranked[:COLUMNS], ranked[middle : middle + COLUMNS], ranked[-COLUMNS:]]
        rows = [np.hstack([_tile(entry) for entry in part]) for part in parts if part]
        width = max(row.shape[1] for row in rows)
        padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.vstack(padded)[..., ::-1])


def _tile(entry: tuple[float, Record, int, np.ndarray]) -> np.ndarray:
    iou, record, index, packed = entry
    image = record.read_image()
    predicted = np.unpackbits(packed, axis=1, count=record.width)
    for mask, colour in ((record.read_mask(index), (0, 200, 0)), (predicted, (230, 30, 30))):
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, outlines, -1, colour, 1)
    x0, y0, x1, y1 = record.boxes[index]
    margin = 0.25 * max(x1 - x0, y1 - y0) + 8
    left, top = int(max(0, x0 - margin)), int(max(0, y0 - margin))
    part = image[top : int(y1 + margin) + 1, left : int(x1 + margin) + 1]
    scale = SIDE / max(part.shape[:2])
    part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    tile = np.zeros((SIDE, SIDE, 3), np.uint8)
    part = part[:SIDE, :SIDE]
    tile[: part.shape[0], : part.shape[1]] = part
    cv2.putText(
        tile, f"{iou:.2f}", (5, SIDE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA
    )
    return tile
