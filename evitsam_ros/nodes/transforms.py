# SPDX-License-Identifier: Apache-2.0
"""Where coordinate frames are: tf2_ros where it is installed, else /tf and /tf_static themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.time import Time

from ..space import TransformError, TransformTree, pose_matrix
from .entities import Entities

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


class Transforms:
    """``matrix(target, source, stamp)``; see :class:`TransformTree`.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions.
        refuse: told (kind, text) of transforms that make no sense.

    Raises:
        TransformError: neither tf2_ros nor tf2_msgs is installed.
    """

    def __init__(self, node: Any, entities: Entities, refuse: Callable[[str, str], None]) -> None:
        self._refuse = refuse
        self._tree, self._buffer = TransformTree(), None
        if tf2_ros is not None:
            # With a node it would serve tf2_frames, and never take that away.
            self._buffer = tf2_ros.Buffer()
            entities.keep(tf2_ros.TransformListener.unregister, tf2_ros.TransformListener(self._buffer, node))
        elif TFMessage is not None:
            latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            entities.subscription(TFMessage, "/tf", lambda m: self._take(m, False), QoSProfile(depth=100))
            entities.subscription(TFMessage, "/tf_static", lambda m: self._take(m, True), latched)
        else:
            raise TransformError(
                "clicks_in_space needs tf2_ros or tf2_msgs: apt install ros-$ROS_DISTRO-tf2-ros-py"
            )

    def matrix(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """``(4, 4)`` float64: points of ``source`` -> points of ``target``, at a time or else the newest.

        Raises:
            TransformError: the frames are not known, or not connected.
        """
        if self._buffer is not None:
            return self._by_tf2(target, source, stamp_ns)
        try:
            return self._tree.lookup(target, source, stamp_ns / 1e9)
        except TransformError:
            return self._tree.lookup(target, source)

    def _take(self, message: Any, static: bool) -> None:
        for each in message.transforms:
            stamp, moved, turned = each.header.stamp, each.transform.translation, each.transform.rotation
            try:
                self._tree.add(
                    each.header.frame_id,
                    each.child_frame_id,
                    stamp.sec + stamp.nanosec * 1e-9,
                    np.array([moved.x, moved.y, moved.z]),
                    np.array([turned.x, turned.y, turned.z, turned.w]),
                    static,
                )
            except TransformError as error:
                self._refuse("bad_transforms", f"{'/tf_static' if static else '/tf'}: {error}")

    def _by_tf2(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        try:
            try:
                found = self._buffer.lookup_transform(target, source, Time(nanoseconds=stamp_ns))
            except tf2_ros.ExtrapolationException:
                found = self._buffer.lookup_transform(target, source, Time())
        except tf2_ros.TransformException as error:
            raise TransformError(str(error)) from error
        moved, turned = found.transform.translation, found.transform.rotation
        return pose_matrix(np.array([moved.x, moved.y, moved.z, turned.x, turned.y, turned.z, turned.w]))
