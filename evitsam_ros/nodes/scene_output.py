# SPDX-License-Identifier: Apache-2.0
"""Publish depth and calibration of a still scene beside its image."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from ..io.scenes import Scene
from .messages import image_message
from .qos import newest_only


class SceneOutput:
    """``depth`` and ``camera_info`` of a scene.

    Args:
        node: of the camera.
        scene: its depth is published.
        reliability: QoS.
    """

    def __init__(self, node: Node, scene: Scene, reliability: str) -> None:
        self._scene = scene
        self._depth = node.create_publisher(Image, "depth", newest_only(reliability))
        self._info = node.create_publisher(CameraInfo, "camera_info", newest_only(reliability))

    def publish(self, header: Header) -> None:
        """Publish depth and calibration with the header of their image."""
        scene, (height, width) = self._scene, self._scene.depth.shape
        if self._depth.get_subscription_count():
            self._depth.publish(image_message(header, scene.depth, "32FC1"))
        (x, y), f = scene.centre, scene.focal
        info = CameraInfo(
            header=header, height=height, width=width, distortion_model="plumb_bob", d=[0.0] * 5
        )
        info.k = [f, 0.0, x, 0.0, f, y, 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.p = [f, 0.0, x, 0.0, 0.0, f, y, 0.0, 0.0, 0.0, 1.0, 0.0]
        self._info.publish(info)
