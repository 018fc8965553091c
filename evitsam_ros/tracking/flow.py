# SPDX-License-Identifier: Apache-2.0
"""Dense optical flow at low resolution between two frames.

One flow serves all objects, and camera and object motion alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..segment.transform import Transform, resized_shape

#: Longest side in pixels of the images that are compared.
MAX_SIDE = 320
#: Images with a shorter side get no flow. OpenCV chooses the coarsest level by the width alone; where that
#: has fewer rows than a patch (8, at a quarter of the size), it writes out of bounds and the process ends.
MIN_SIDE = 32
#: Cells that a similarity is fitted to, and fewer than which only give a shift.
MAX_SAMPLES, MIN_SAMPLES = 200, 12


@dataclass(frozen=True)
class Flow:
    """Hold the positions of the low-res cells in the previous frame.

    Attributes:
        cells: ``(h, w, 2)`` float32 x, y in cells, for the visible cells of the current frame; a cell that
            was out of view lies outside of the grid.
    """

    cells: np.ndarray

    def warp_masks(self, masks: np.ndarray) -> np.ndarray:
        """Warp ``(M, h, w)`` bool masks of the frame before to this one; pixels that enter the view are
        background.
        """
        height, width = masks.shape[1:]
        x, y = np.rint(self.cells).astype(int).transpose(2, 0, 1)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = np.where(inside, y * width + x, 0).ravel()
        moved = np.take(masks.reshape(len(masks), -1), index, axis=1) & inside.ravel()
        return np.asarray(moved.reshape(len(masks), *inside.shape))

    def similarity(self, mask: np.ndarray) -> np.ndarray:
        """Fit a similarity ``(2, 3)`` to the motion under a mask ``(h, w)`` of this frame; cells to cells."""
        rows, columns = np.nonzero(mask)
        here = np.stack([columns, rows], axis=1).astype(np.float32)
        there = self.cells[rows, columns]
        if len(here) >= MIN_SAMPLES:
            step = len(here) // MAX_SAMPLES + 1
            before, after = (np.ascontiguousarray(points[::step]) for points in (there, here))
            fitted, _ = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=1.0)
            if fitted is not None:
                return np.asarray(fitted)
        shift = np.median(here - there, axis=0) if len(here) else np.zeros(2)
        return np.hstack([np.eye(2), shift[:, None]])


class FlowEstimator:
    """Estimate the flow from frame to frame by DIS optical flow (Kroeger et al., ECCV 2016) of OpenCV."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: np.ndarray | None = None
        self._size: tuple[int, int] | None = None

    def reset(self) -> None:
        """Forget the last frame."""
        self._before = None

    def update(self, image: np.ndarray, transform: Transform) -> Flow | None:
        """Return the flow from the last frame to ``image (H, W, 3)`` uint8; None for the first of a size."""
        small = image
        if max(image.shape[:2]) > MAX_SIDE:
            height, width = resized_shape(image.shape[:2], MAX_SIDE)
            small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        before, size = self._before, self._size
        self._before, self._size = grey, transform.size
        if before is None or size != transform.size:
            return None
        if min(grey.shape) < MIN_SIDE:
            return Flow(_in_cells(np.zeros((*grey.shape, 2), np.float32), transform))
        # Without an array to start from, which the stubs require.
        field = self._flow.calc(grey, before, None)  # type: ignore[call-overload]
        return Flow(_in_cells(field, transform))


def _in_cells(field: np.ndarray, transform: Transform) -> np.ndarray:
    """Convert displacements in pixels of the small image to positions in cells."""
    rows, columns = transform.visible_cells
    height, width = transform.image_cells  # the last cell may be partly padding
    per_pixel = np.array([width / field.shape[1], height / field.shape[0]], np.float32)
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    place = ((np.stack([x, y], axis=-1) + 0.5) / per_pixel - 0.5).astype(np.float32)
    sampled = cv2.remap(
        field, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.stack([x, y], axis=-1) + sampled * per_pixel
