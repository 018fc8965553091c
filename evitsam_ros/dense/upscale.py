# SPDX-License-Identifier: Apache-2.0
"""Image in, the image at twice the resolution out, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends import Runtime, open_runtime
from ..bundle import DENSE_NETWORK
from .bundle import UpscaleBundle, open_upscale
from .fit import check_rgb
from .runner import DenseRunner
from .tiles import kept_parts

if TYPE_CHECKING:
    from pathlib import Path


class Upscaler(DenseRunner):
    """``upscale(image)`` doubles the resolution.

    Attributes:
        bundle: the opened bundle.
        description: which runtime was chosen, and why.

    Not thread-safe: one thread owns it.
    """

    def __init__(self, bundle: UpscaleBundle, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.bundle = bundle

    @classmethod
    def open(
        cls, model: str | Path, backend: str = "auto", threads: int = 0, *, precision: str = "auto"
    ) -> Upscaler:
        """Open a bundle by name or folder; arguments and errors as in ``Segmenter.open``."""
        bundle = open_upscale(model)
        return cls(bundle, open_runtime(bundle, backend, threads, precision=precision))

    def upscale(self, image: np.ndarray) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB -> ``(2H, 2W, 3)`` uint8 RGB.

        Raises:
            ValueError: the image has another shape or type.
        """
        check_rgb(image)
        scale, overlap, (height, width) = self.bundle.scale, self.bundle.overlap, self.bundle.input_size
        result = np.empty((image.shape[0] * scale, image.shape[1] * scale, 3), np.uint8)
        for top, row, row_end in kept_parts(image.shape[0], height, overlap):
            for left, col, col_end in kept_parts(image.shape[1], width, overlap):
                tile = self._upscaled(image[top : top + height, left : left + width])
                rows = slice((row - top) * scale, (row_end - top) * scale)
                cols = slice((col - left) * scale, (col_end - left) * scale)
                result[row * scale : row_end * scale, col * scale : col_end * scale] = tile[rows, cols]
        return result

    def _upscaled(self, tile: np.ndarray) -> np.ndarray:
        """A tile ``(h, w, 3)``, mirrored where it is smaller than the network's input, at twice the size."""
        height, width = self.bundle.input_size
        pads = ((0, height - tile.shape[0]), (0, width - tile.shape[1]), (0, 0))
        padded = np.pad(tile, pads, mode="symmetric")
        plain = padded.astype(np.float32) / 255
        normal = (plain - np.array(self.bundle.mean, np.float32)) / np.array(self.bundle.std, np.float32)
        blob = np.ascontiguousarray(normal.transpose(2, 0, 1))[None]
        (large,) = self.runtime.networks[DENSE_NETWORK]({"image": blob})
        pixels = np.asarray(large)[0].transpose(1, 2, 0) * 255
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
