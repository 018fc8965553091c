# SPDX-License-Identifier: Apache-2.0
"""The depth of an image and its camera model, or a report of the missing input."""

from __future__ import annotations

from typing import Any

import numpy as np
from std_msgs.msg import Header

from ..geometry3d import CameraModel, check_aligned
from .calibration import Calibration
from .depth_input import DepthCamera, DepthInput, DepthParameters, NoDepthError
from .managed_entities import ManagedEntities
from .recent_images import stamp_ns


class AlignedDepth:
    """Find the depth of images of one camera.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions.
        camera: of the images.
        calibration: of the camera.
        parameters: as configured.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        camera: DepthCamera,
        calibration: Calibration,
        parameters: DepthParameters,
    ) -> None:
        self._calibration, self._report_error = calibration, camera.report_error
        self._depth = DepthInput(node, entities, camera, parameters)
        #: Frame and stamp of the last requested image, and its depth: several outputs need it.
        self._last: tuple[tuple[str, int], tuple[np.ndarray, CameraModel] | None] | None = None

    def expect(self, header: Header) -> None:
        """Hold the depth of an image while it is processed, however long that takes."""
        self._last = None
        self._depth.expect(header)

    def find(self, header: Header, labels: np.ndarray) -> tuple[np.ndarray, CameraModel] | None:
        """Return the depth of an image and its camera; None, and one report, if one is missing or wrong.

        Args:
            header: of the image.
            labels: ``(H, W)``, of the image's size.

        Returns:
            ``(H, W)`` float32 metres, NaN where unknown, and the camera.
        """
        key = header.frame_id, stamp_ns(header)
        if self._last is None or self._last[0] != key:
            self._last = key, self._find(header, labels)
        return self._last[1]

    def _find(self, header: Header, labels: np.ndarray) -> tuple[np.ndarray, CameraModel] | None:
        topics = f"{self._depth.topic}, {self._calibration.topic}"
        try:
            camera = self._calibration.model(header.frame_id)
            if camera is None:
                raise NoDepthError(f"no {self._calibration.topic} has come yet")
            depths = self._depth.aligned(header, camera)
            check_aligned(depths, labels, camera)
        except NoDepthError as error:
            self._report_error(
                "no_depth", f"{topics}: {error}; points and boxes in space are empty without it"
            )
        except ValueError as error:
            self._report_error("bad_depth", f"{topics}: {error}")
        else:
            return depths, camera
        return None
