# SPDX-License-Identifier: Apache-2.0
"""Depth in, labelled points and boxes in space out, in the frame of the image.

Depth belongs to an image by its stamp: without message_filters, which ROS from the Python index lacks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ..encodings import stamp_seconds
from ..segment import Masks
from ..segment.overlay import object_colours
from ..space import FIELDS, Box3D, CameraModel, box_around, check_aligned, labelled_points, metres
from .calibration import Calibration
from .entities import Entities
from .outgoing import byte_array
from .qos import newest_only, results

try:
    from vision_msgs.msg import Detection3DArray
except ImportError:
    Detection3DArray = None

#: Depth images that are kept: a camera's next one may come before the image's masks are made.
KEPT = 10
#: Thinnest side of a box in RViz, metres: a flat one would not be drawn.
THINNEST = 0.005
_KINDS = {"f4": PointField.FLOAT32, "u2": PointField.UINT16}


class SpaceOutput:
    """``points``, ``boxes_3d`` and ``detections_3d`` of one camera.

    Args:
        entities: makes the subscription and the publishers.
        inputs, private: before the names of inputs and outputs.
        calibration: of the camera.
        options: the node's parameters.
        refuse: told (kind, text) of what cannot be used.
    """

    def __init__(
        self,
        entities: Entities,
        inputs: str,
        private: str,
        calibration: Calibration,
        options: dict[str, Any],
        refuse: Callable[[str, str], None],
    ) -> None:
        self._calibration, self._refuse, self._options = calibration, refuse, options
        self._topic = inputs + "depth"
        self._depths: deque[Image] = deque(maxlen=KEPT)
        self._lock = threading.Lock()
        self._shown: set[int] = set()
        entities.subscription(Image, self._topic, self._on_depth, newest_only(options["reliability"]))
        kinds = {"points": PointCloud2, "boxes_3d": MarkerArray}
        if Detection3DArray is not None:
            kinds["detections_3d"] = Detection3DArray
        self._publishers = {
            name: entities.publisher(kind, private + name, results()) for name, kind in kinds.items()
        }

    def _on_depth(self, message: Image) -> None:
        with self._lock:
            self._depths.append(message)

    def listeners(self) -> set[str]:
        """Which of the outputs somebody listens to."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def publish(self, header: Header, image: np.ndarray, masks: Masks, labels: np.ndarray) -> None:
        """What is under the masks of an image, if its depth has come; else it says what is missing."""
        wanted = self.listeners()
        if not wanted:
            return
        try:
            if (inputs := self._inputs(header)) is None:
                return
            depths, camera = metres(inputs[0]), inputs[1]
            check_aligned(depths, labels, camera)
            scores = dict(zip(masks.object_ids.tolist(), masks.scores.tolist(), strict=True))
            if "points" in wanted:
                organised = self._options["organised_points"]
                cloud = labelled_points(depths, camera, image, labels, scores, organised)
                self._publishers["points"].publish(points_message(header, cloud))
            if wanted - {"points"}:
                found = {i: box_around(labels == i, depths, camera) for i in masks.object_ids.tolist()}
                boxes = {i: box for i, box in found.items() if box is not None}
                if "boxes_3d" in wanted:
                    self._publishers["boxes_3d"].publish(self._markers(header, boxes))
                if "detections_3d" in wanted:
                    self._publishers["detections_3d"].publish(detections_3d_message(header, boxes, scores))
        except ValueError as error:
            self._refuse("bad_depth", f"{self._topic}, {self._calibration.topic}: {error}")

    def _inputs(self, header: Header) -> tuple[Image, CameraModel] | None:
        """The depth nearest in time and the calibration."""
        needs = "has come yet; points and boxes in space need it"
        camera = self._calibration.model()
        if camera is None:
            self._refuse("no_depth", f"{self._calibration.topic}: none {needs}")
            return None
        wanted, slop = stamp_seconds(header), self._options["depth_slop_s"]
        with self._lock:
            nearest = min(self._depths, key=lambda m: abs(stamp_seconds(m.header) - wanted), default=None)
        if nearest is None:
            self._refuse("no_depth", f"{self._topic}: none {needs}")
            return None
        away = abs(stamp_seconds(nearest.header) - wanted)
        if away > slop:
            self._refuse(
                "no_depth",
                f"{self._topic}: the nearest to the image is {away:.3f} s away; expected {slop} s or less "
                "(depth_slop_s)",
            )
            return None
        return nearest, camera

    def _markers(self, header: Header, boxes: dict[int, Box3D]) -> MarkerArray:
        """Boxes for RViz; those of objects that are gone are taken away."""
        gone = self._shown - set(boxes)
        self._shown = set(boxes)
        markers = [Marker(header=header, ns="objects", id=i, action=Marker.DELETE) for i in sorted(gone)]
        return MarkerArray(markers=markers + [box_marker(header, i, box) for i, box in boxes.items()])


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


def detections_3d_message(header: Header, boxes: dict[int, Box3D], scores: dict[int, float]) -> Any:
    """One Detection3D a box: its pose, its size in metres, predicted IoU; id = value in the label map."""
    from vision_msgs.msg import Detection3D, ObjectHypothesisWithPose

    message = Detection3DArray(header=header)
    for identity, box in boxes.items():
        detection = Detection3D(header=header, id=str(identity))
        pose, size = detection.bbox.center, detection.bbox.size
        pose.position.x, pose.position.y, pose.position.z = box.centre.tolist()
        turn = pose.orientation
        turn.x, turn.y, turn.z, turn.w = box.quaternion.tolist()
        size.x, size.y, size.z = box.size.tolist()
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = "object"
        hypothesis.hypothesis.score = float(scores[identity])
        hypothesis.pose.pose = pose
        detection.results.append(hypothesis)
        message.detections.append(detection)
    return message
