# SPDX-License-Identifier: Apache-2.0
"""Depth and camera_info in, labelled points and boxes in space out, in the frame of the image.

Depth belongs to an image by its stamp: without message_filters, which ROS from the Python index lacks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ..encodings import stamp_seconds
from ..segment import Masks
from ..segment.overlay import object_colours
from ..space import FIELDS, Box3D, CameraModel, box_around, check_aligned, labelled_points, metres
from .outgoing import byte_array
from .qos import newest_only, results

#: Depth images that are kept: a camera's next one may come before the image's masks are made.
KEPT = 10
#: Thinnest side of a box in RViz, metres: a flat one would not be drawn.
THINNEST = 0.005
_KINDS = {"f4": PointField.FLOAT32, "u2": PointField.UINT16}


class SpaceOutput:
    """``~/points`` and ``~/boxes_3d`` of one camera.

    Args:
        node: a lifecycle node, whose subscriptions and publishers these are.
        options: the node's parameters.
        refuse: told (kind, text) of what cannot be used.
        owned: gets (destroy, entity) of everything that is made.
    """

    def __init__(
        self, node: Any, options: dict[str, Any], refuse: Callable[[str, str], None], owned: list
    ) -> None:
        self._refuse, self._options = refuse, options
        self._depths: deque[Image] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._info: CameraInfo | None = None
        self._model: tuple[CameraInfo, CameraModel] | None = None
        self._shown: set[int] = set()
        quality = newest_only(options["reliability"])
        for kind, topic, callback in (
            (Image, "depth", self._on_depth),
            (CameraInfo, "camera_info", self._on_info),
        ):
            subscription = node.create_subscription(kind, topic, callback, quality)
            owned.append((node.destroy_subscription, subscription))
        self._points = node.create_lifecycle_publisher(PointCloud2, "~/points", results())
        self._boxes = node.create_lifecycle_publisher(MarkerArray, "~/boxes_3d", results())
        owned += [(node.destroy_lifecycle_publisher, p) for p in (self._points, self._boxes)]

    def _on_depth(self, message: Image) -> None:
        with self._lock:
            self._depths.append(message)

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def listeners(self) -> set[str]:
        """Which of ``points`` and ``boxes_3d`` somebody listens to."""
        publishers = {"points": self._points, "boxes_3d": self._boxes}
        return {name for name, p in publishers.items() if p.get_subscription_count() > 0}

    def publish(self, header: Header, image: np.ndarray, masks: Masks, labels: np.ndarray) -> None:
        """What is under the masks of an image, if its depth has come; else it says what is missing."""
        wanted = self.listeners()
        if not wanted or (inputs := self._inputs(header)) is None:
            return
        message, info = inputs
        try:
            depths, camera = metres(message), self._camera(info)
            check_aligned(depths, labels, camera)
            if "points" in wanted:
                scores = dict(zip(masks.object_ids.tolist(), masks.scores.tolist(), strict=True))
                organised = self._options["organised_points"]
                cloud = labelled_points(depths, camera, image, labels, scores, organised)
                self._points.publish(points_message(header, cloud))
            if "boxes_3d" in wanted:
                found = {i: box_around(labels == i, depths, camera) for i in masks.object_ids.tolist()}
                self._boxes.publish(self._markers(header, {i: b for i, b in found.items() if b is not None}))
        except ValueError as error:
            self._refuse("bad_depth", f"depth, camera_info: {error}")

    def _inputs(self, header: Header) -> tuple[Image, CameraInfo] | None:
        """The depth nearest in time and the calibration."""
        if self._info is None:
            self._refuse("no_depth", "camera_info: none has come yet; ~/points and ~/boxes_3d need it")
            return None
        wanted, slop = stamp_seconds(header), self._options["depth_slop_s"]
        with self._lock:
            nearest = min(self._depths, key=lambda m: abs(stamp_seconds(m.header) - wanted), default=None)
        if nearest is None:
            self._refuse("no_depth", "depth: none has come yet; ~/points and ~/boxes_3d need it")
            return None
        away = abs(stamp_seconds(nearest.header) - wanted)
        if away > slop:
            self._refuse(
                "no_depth",
                f"depth: the nearest to the image is {away:.3f} s away; expected {slop} s or less "
                "(depth_slop_s)",
            )
            return None
        return nearest, self._info

    def _camera(self, info: CameraInfo) -> CameraModel:
        """The model of a calibration, made when it changes."""
        if self._model is None or not _same(self._model[0], info):
            self._model = info, CameraModel.from_info(info, self._options["image_rectified"])
        return self._model[1]

    def _markers(self, header: Header, boxes: dict[int, Box3D]) -> MarkerArray:
        """Boxes for RViz; those of objects that are gone are taken away."""
        gone = self._shown - set(boxes)
        self._shown = set(boxes)
        markers = [Marker(header=header, ns="objects", id=i, action=Marker.DELETE) for i in sorted(gone)]
        return MarkerArray(markers=markers + [box_marker(header, i, box) for i, box in boxes.items()])


def _same(a: CameraInfo, b: CameraInfo) -> bool:
    """Whether two calibrations are equal but for their stamps."""
    names = ("height", "width", "distortion_model", "binning_x", "binning_y", "roi")
    arrays = ("k", "p", "d")
    return all(getattr(a, n) == getattr(b, n) for n in names) and all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in arrays
    )


def points_message(header: Header, cloud: np.ndarray) -> PointCloud2:
    """An array of :data:`~evitsam_ros.space.FIELDS`, ``(N,)`` or ``(H, W)`` organised."""
    height, width = cloud.shape if cloud.ndim == 2 else (1, len(cloud))
    message = PointCloud2(header=header, height=height, width=width)
    for name in FIELDS.names:
        kind, offset = FIELDS.fields[name]
        # RViz and PCL want the packed colour in the bits of a float.
        datatype = PointField.FLOAT32 if name == "rgb" else _KINDS[kind.str[1:]]
        message.fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
    message.point_step, message.row_step = FIELDS.itemsize, FIELDS.itemsize * width
    message.is_dense = cloud.ndim == 1
    message.data = byte_array(cloud)
    return message


def box_marker(header: Header, identity: int, box: Box3D) -> Marker:
    """A see-through box in the colour that the object has in the overlay."""
    marker = Marker(header=header, ns="objects", id=identity, type=Marker.CUBE, action=Marker.ADD)
    marker.pose.position = Point(**dict(zip("xyz", box.centre.tolist(), strict=True)))
    marker.pose.orientation = Quaternion(**dict(zip("xyzw", box.quaternion.tolist(), strict=True)))
    marker.scale = Vector3(**dict(zip("xyz", np.maximum(box.size, THINNEST).tolist(), strict=True)))
    red, green, blue = (float(c) / 255 for c in object_colours(np.array([identity]))[0])
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=0.4)
    return marker
