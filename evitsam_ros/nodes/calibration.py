# SPDX-License-Identifier: Apache-2.0
"""The calibration of a camera, received on ``camera_info``."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo

from ..geometry3d import CalibrationError, CameraModel
from .managed_entities import ManagedEntities
from .qos import newest_only


class Calibration:
    """Keep the newest CameraInfo of a camera, and make a camera model of it.

    Args:
        entities: makes the subscription.
        topic: the camera's ``camera_info``.
        reliability: QoS reliability of the subscription.
        rectified: the image is rectified, see :meth:`CameraModel.from_info`.
    """

    def __init__(self, entities: ManagedEntities, topic: str, reliability: str, *, rectified: bool) -> None:
        self.topic = topic
        self._rectified = rectified
        self._info: CameraInfo | None = None
        self._model: tuple[CameraInfo, CameraModel] | None = None
        entities.subscription(CameraInfo, topic, self._on_info, newest_only(reliability))

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    @property
    def info(self) -> CameraInfo | None:
        """Return the newest message, or None before the first one."""
        return self._info

    def model(self, frame: str = "") -> CameraModel | None:
        """Return the camera, or None before its first message.

        Args:
            frame: ``frame_id`` of the images that it is of; empty: of any.

        Raises:
            CalibrationError: the message cannot be used, or it is of another frame.
        """
        info = self._info
        if info is None:
            return None
        own, wanted = info.header.frame_id.lstrip("/"), frame.lstrip("/")
        if own and wanted and own != wanted:
            raise CalibrationError(
                f"camera_info is in frame {own!r}, the image in {wanted!r}; expected the camera_info of this "
                "image"
            )
        if self._model is None or not _same(self._model[0], info):
            self._model = info, CameraModel.from_info(info, self._rectified)
        return self._model[1]


def _same(a: CameraInfo, b: CameraInfo) -> bool:
    """Return whether two calibrations are equal except for their stamps."""
    names = ("height", "width", "distortion_model", "binning_x", "binning_y", "roi")
    arrays = ("k", "p", "d")
    return all(getattr(a, n) == getattr(b, n) for n in names) and all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in arrays
    )
