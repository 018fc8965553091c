# SPDX-License-Identifier: Apache-2.0
"""Publish ``~/camera_info``: the calibration of masks that have fewer pixels than the image."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from ..geometry3d import image_matrix
from ..segment import Masks
from ..segment.mask_grid import MaskGrid
from .calibration import Calibration
from .managed_entities import ManagedEntities
from .qos import results


class CameraInfoOutput:
    """``camera_info`` of one camera's masks.

    Args:
        entities: makes the publisher.
        prefix: before the name: ``~/``, or ``~/CAMERA/``.
        calibration: of the image.
        grid: pixels of the masks.
    """

    def __init__(
        self, entities: ManagedEntities, prefix: str, calibration: Calibration, grid: MaskGrid
    ) -> None:
        self._calibration, self._grid = calibration, grid
        self._publisher = entities.publisher(CameraInfo, prefix + "camera_info", results())

    @property
    def is_subscribed(self) -> bool:
        """Return whether there is a subscriber."""
        return bool(self._publisher.get_subscription_count() > 0)

    def publish(self, header: Header, masks: Masks) -> None:
        """Publish the calibration with the header of an image; return without one of the camera."""
        if (info := self._calibration.info) is not None:
            self._publisher.publish(scaled_info(header, info, masks, self._grid))


def scaled_info(header: Header, info: CameraInfo, masks: Masks, grid: MaskGrid) -> CameraInfo:
    """Return the calibration of masks: that of the image, with its roi and binning, in pixels of the grid.

    The centre of the top-left pixel is (0, 0) in both, so that a pixel of the grid, ``s`` pixels of the image
    wide, has its centre at ``(x + 0.5) * s - 0.5``.
    """
    height, width = grid.size(masks)
    scaled = CameraInfo(header=header, height=height, width=width)
    scaled.distortion_model, scaled.d, scaled.r = info.distortion_model, info.d, info.r
    for name in ("k", "p"):
        matrix = image_matrix(info, getattr(info, name))
        # Of an uncalibrated camera it is 0, and stays so.
        if matrix.any():
            scale = grid.image_pixels(masks)
            matrix[:2, 2] += 0.5
            matrix[:2] /= scale[:, None]
            matrix[:2, 2] -= 0.5
        setattr(scaled, name, matrix.ravel())
    return scaled
