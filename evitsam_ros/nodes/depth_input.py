# SPDX-License-Identifier: Apache-2.0
"""Receive depth images; return the depth of an image, aligned with it by the driver, or here by tf.

Depth belongs to an image by its stamp: without message_filters, which ROS from the Python index lacks.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..geometry3d import CameraModel, TransformError, compressed_metres, metres, registered
from .calibration import Calibration
from .camera_context import ReportError
from .managed_entities import ManagedEntities
from .qos import newest_only, transport_topic
from .recent_depths import RecentDepths
from .recent_images import stamp_ns
from .transforms import Transforms


class NoDepthError(ValueError):
    """Report that the depth of an image has not arrived."""


class DepthCamera(Protocol):
    """Define the members of a camera that depth needs, see :class:`~.camera_context.CameraContext`."""

    @property
    def inputs(self) -> str:
        """Return the prefix of the camera's input topics."""

    @property
    def report_error(self) -> ReportError:
        """Return the function that reports an error of this camera."""


class DepthParameters(Protocol):
    """Parameters of a node that takes depth."""

    @property
    def reliability(self) -> str:
        """Return the QoS reliability of subscriptions."""

    @property
    def depth_transport(self) -> str:
        """Return how depth is sent."""

    @property
    def depth_slop_s(self) -> float:
        """Return the max difference between the stamps of an image and its depth, seconds."""

    @property
    def history_s(self) -> float:
        """Return for how long depth waits for its image, seconds."""


class DepthInput:
    """``depth`` and ``depth_camera_info`` of one camera.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions.
        camera: of the images that they belong to.
        parameters: as configured.
    """

    def __init__(
        self, node: Any, entities: ManagedEntities, camera: DepthCamera, parameters: DepthParameters
    ) -> None:
        self._node, self._entities, self._report_error = node, entities, camera.report_error
        self._slop = parameters.depth_slop_s
        self._recent = RecentDepths(parameters.history_s + self._slop)
        transport, reliability = parameters.depth_transport, parameters.reliability
        self.topic = transport_topic(node, camera.inputs + "depth", transport)
        kind = Image if transport == "raw" else CompressedImage
        entities.subscription(kind, self.topic, self._on_depth, newest_only(reliability))
        # Depth is rectified as a rule; its coefficients are 0 then.
        self._calibration = Calibration(
            entities, camera.inputs + "depth_camera_info", reliability, rectified=False
        )
        self._image_frame = ""
        self._transforms: Transforms | None = None
        self._no_transforms = ""

    def expect(self, header: Header) -> None:
        """Hold the depth of an image from the start of its processing."""
        self._image_frame = header.frame_id
        self._recent.expect(stamp_ns(header))

    def aligned(self, header: Header, camera: CameraModel) -> np.ndarray:
        """Return ``(h, w)`` float32 metres, aligned with an image; NaN where unknown.

        Args:
            header: of the image.
            camera: of the image.

        Raises:
            NoDepthError: none has arrived, or none of about the image's time.
            ValueError: it cannot be used, or it is in another frame and no transform is known.
        """
        message = self._nearest(stamp_ns(header))
        depths = metres(message) if isinstance(message, Image) else compressed_metres(message)
        frame, image_frame = message.header.frame_id.lstrip("/"), header.frame_id.lstrip("/")
        if not frame or not image_frame or frame == image_frame:
            return depths
        try:
            return registered(depths, *self._registration(message.header, image_frame), camera)
        except ValueError as error:
            raise ValueError(
                f"depth is in frame {frame!r}, the image in {image_frame!r}: {error}; expected depth that "
                f"the driver aligns with the image, or {self._calibration.topic} and tf between the two"
            ) from error

    def _on_depth(self, message: Image | CompressedImage) -> None:
        self._recent.add(message)
        other = message.header.frame_id.lstrip("/") != self._image_frame.lstrip("/")
        # /tf costs time, and is used only here: it is subscribed when the first depth needs it.
        if other and self._image_frame and self._transforms is None and not self._no_transforms:
            try:
                self._transforms = Transforms(self._node, self._entities, self._report_error)
            except TransformError as error:
                self._no_transforms = str(error)

    def _nearest(self, stamp: int) -> Image | CompressedImage:
        message = self._recent.nearest(stamp)
        if message is None:
            raise NoDepthError("none has come yet")
        away = (stamp_ns(message.header) - stamp) / 1e9
        if abs(away) > self._slop:
            side = "later" if away > 0 else "earlier"
            raise NoDepthError(
                f"the nearest to the image is {abs(away):.3f} s {side}; expected {self._slop} s or less "
                "(depth_slop_s)"
            )
        return message

    def _registration(self, header: Header, image_frame: str) -> tuple[CameraModel, np.ndarray]:
        """Return the depth camera's calibration, and its frame in the image's ``(4, 4)``."""
        if self._transforms is None:
            raise ValueError(self._no_transforms or "no transform is known yet")
        camera = self._calibration.model(header.frame_id)
        if camera is None:
            raise ValueError(f"no {self._calibration.topic} has come")
        return camera, self._transforms.matrix(image_frame, header.frame_id, stamp_ns(header))
