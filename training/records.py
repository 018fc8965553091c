# SPDX-License-Identifier: Apache-2.0
"""Define the records that readers of annotations return, and the count of skipped entries."""

from __future__ import annotations

import logging
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pycocotools import mask as rle_codec

from .image_file import read_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

log = logging.getLogger(__name__)

#: Max number of stored lines about skipped entries; a file can have millions of them.
MAX_LINES = 10_000


class DataError(ValueError):
    """Report data without usable records, or a file that cannot be read."""


class Unusable(ValueError):
    """Report one skipped entry.

    Attributes:
        reason: key of the count, a plural ("empty masks").
        detail: fault of this entry, and the expected form.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def brief(value: object) -> str:
    """Format a value of a file for a message: short, on one line, without control characters."""
    return reprlib.repr(value)


@dataclass(frozen=True)
class Record:
    """Hold one image and its masks.

    Attributes:
        name: the image's name in its data set.
        image: its file, or the bytes of its JPEG or PNG.
        source: name of the annotation file it came from, without the split.
        height, width: size in pixels that the annotations refer to.
        rles: masks as compressed RLE, each of the image's size and with one pixel or more.
        boxes: ``(M, 4)`` float32 x0, y0, x1, y1 in pixels, outer edges, inside the image.
        annotators: ``(M,)`` int; masks of one annotator are consistent.
        left_out: skipped annotations of this image, one line each, "reason: example".
    """

    name: str
    image: Path | bytes
    source: str
    height: int
    width: int
    rles: list[dict]
    boxes: np.ndarray
    annotators: np.ndarray
    left_out: tuple[str, ...] = ()

    def read_image(self) -> np.ndarray:
        """Read the image as ``(H, W, 3)`` uint8 RGB.

        Raises:
            ValueError: the image is missing, damaged, truncated or of another size.
        """
        try:
            return read_rgb(self.image, (self.height, self.width))
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def read_mask(self, index: int) -> np.ndarray:
        """Decode mask ``index`` as ``(H, W)`` uint8 0/1."""
        return rle_codec.decode(self.rles[index])


@dataclass
class Skipped:
    """Count skipped entries by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    def add(self, reason: str, example: str) -> None:
        """Count a skipped entry by its reason, and log the first example of each reason."""
        if reason not in self.counts:
            log.warning("skipping %s: %s", reason, example)
            self.examples[reason] = example
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self._lines) < MAX_LINES:
            self._lines.append(f"{reason}: {example}")

    def add_lines(self, lines: list[str] | tuple[str, ...]) -> None:
        """Add lines of the form "reason: example"."""
        for line in lines:
            self.add(*line.split(": ", 1))

    def take_lines(self) -> list[str]:
        """Return the lines added since the last call: the loader's processes report by them."""
        lines, self._lines = self._lines, []
        return lines

    def explain(self) -> str:
        """Return each reason with its count and first example, on one line."""
        parts = [f"{count} {reason} ({self.examples[reason]})" for reason, count in self.counts.items()]
        return "; ".join(parts) or "none"

    def __str__(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.counts.items()) or "none"


def readable(records: list[Record]) -> Iterator[Record]:
    """Return the records with a readable image; count the others and log each once.

    Raises:
        DataError: no image can be read.
    """
    skipped, found = Skipped(), 0
    for record in records:
        try:
            record.read_image()
        except ValueError as error:
            skipped.add("unreadable images", str(error))
        else:
            found += 1
            yield record
    if not found:
        raise DataError(f"no image can be read: {skipped.explain()}")
    if skipped.counts:
        log.warning("skipped %s", skipped)
