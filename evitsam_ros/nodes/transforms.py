# SPDX-License-Identifier: Apache-2.0
"""Look up transforms: by tf2_ros where it is installed, otherwise from /tf and /tf_static."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.clock import JumpHandle, JumpThreshold
from rclpy.duration import Duration
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.time import Time

from ..geometry3d import TransformError, TransformTree, pose_matrix
from .managed_entities import ManagedEntities

try:
    import tf2_ros
except ImportError:
    tf2_ros = None
try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None


class Transforms:
    """Look up transforms between coordinate frames, see :class:`TransformTree`. Thread-safe.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions.
        report_error: called with (kind, text) for transforms that are rejected.

    Raises:
        TransformError: neither tf2_ros nor tf2_msgs is installed.
    """

    def __init__(
        self, node: Any, entities: ManagedEntities, report_error: Callable[[str, str], None]
    ) -> None:
        self._report_error = report_error
        self._tree = TransformTree()
        self._buffer: Any = None  # tf2_ros.Buffer, where that is installed
        self._lock = threading.Lock()
        # Two runs of a simulation have no transform in common; tf2_ros for Python does not clear them.
        back = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True)
        handle = node.get_clock().create_jump_callback(back, post_callback=self._on_jump)
        entities.keep(JumpHandle.unregister, handle)
        if tf2_ros is not None:
            # With a node it would serve tf2_frames, and never take that away.
            self._buffer = tf2_ros.Buffer()
            entities.keep(tf2_ros.TransformListener.unregister, tf2_ros.TransformListener(self._buffer, node))
        elif TFMessage is not None:
            latched = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
            entities.subscription(
                TFMessage, "/tf", lambda m: self._take(m, static=False), QoSProfile(depth=100)
            )
            entities.subscription(TFMessage, "/tf_static", lambda m: self._take(m, static=True), latched)
        else:
            raise TransformError(
                "neither tf2_ros nor tf2_msgs is installed, so no transform is known "
                "(apt install ros-$ROS_DISTRO-tf2-ros-py)"
            )

    def matrix(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        """Return the transform from ``source`` to ``target`` at a time, or the newest if it is unknown.

        Args:
            target: frame of the transformed points.
            source: frame of the points.
            stamp_ns: time, nanoseconds.

        Returns:
            ``(4, 4)`` float64.

        Raises:
            TransformError: the frames are not known, or not connected.
        """
        if self._buffer is not None:
            return self._by_tf2(target, source, stamp_ns)
        with self._lock:
            try:
                return self._tree.lookup(target, source, stamp_ns / 1e9)
            except TransformError:
                return self._tree.lookup(target, source)

    def _on_jump(self, jump: Any) -> None:
        """Forget transforms when the clock was set back, or changed to simulated time."""
        with self._lock:
            self._tree.clear()
        if self._buffer is not None:
            self._buffer.clear()

    def _take(self, message: Any, *, static: bool) -> None:
        with self._lock:
            self._add(message, static=static)

    def _add(self, message: Any, *, static: bool) -> None:
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
                self._report_error("bad_transforms", f"{'/tf_static' if static else '/tf'}: {error}")

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
