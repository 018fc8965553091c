# SPDX-License-Identifier: Apache-2.0
"""Convert points and boxes in space to messages, each with the header of its image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from ..geometry3d import FIELDS, Box3D
from .messages import byte_array

_KINDS = {"f4": PointField.FLOAT32, "u2": PointField.UINT16}


def points_message(header: Header, cloud: np.ndarray) -> PointCloud2:
    """Convert an array of :data:`~evitsam_ros.geometry3d.FIELDS`, ``(N,)``, or ``(H, W)`` if organized."""
    height, width = cloud.shape if cloud.ndim == 2 else (1, len(cloud))
    message = PointCloud2(header=header, height=height, width=width)
    for name in FIELDS.names or ():
        kind, offset = cast("Mapping[str, tuple[np.dtype, int]]", FIELDS.fields)[name]
        # RViz and PCL want the packed colour in the bits of a float.
        datatype = PointField.FLOAT32 if name == "rgb" else _KINDS[kind.str[1:]]
        message.fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
    message.point_step, message.row_step = FIELDS.itemsize, FIELDS.itemsize * width
    message.is_dense = cloud.ndim == 1
    message.data = byte_array(cloud)
    return message


def detections_3d_message(
    header: Header,
    boxes: dict[int, Box3D],
    scores: dict[int, float],
    names: dict[int, str],
    prompt_scores: Mapping[int, float] | None = None,
) -> Any:
    """Make a Detection3D for each box: pose, size in metres, and hypotheses as in ``~/detections``.

    Args:
        header: of the image.
        boxes: by id, the value in the label map.
        scores: predicted IoU by id.
        names: by id; an empty name is "object".
        prompt_scores: scores of the detector by id; None: no object has one.
    """
    from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

    message = Detection3DArray(header=header)
    for identity, box in boxes.items():
        detection = Detection3D(header=header, id=str(identity))
        pose, size = detection.bbox.center, detection.bbox.size
        pose.position.x, pose.position.y, pose.position.z = box.centre.tolist()
        turn = pose.orientation
        turn.x, turn.y, turn.z, turn.w = box.quaternion.tolist()
        size.x, size.y, size.z = box.size.tolist()
        found = [float(scores[identity])]
        if prompt_scores and identity in prompt_scores:
            found.append(prompt_scores[identity])
        for score in found:
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = names.get(identity) or "object"
            hypothesis.hypothesis.score = score
            hypothesis.pose.pose = pose
            detection.results.append(hypothesis)
        message.detections.append(detection)
    return message
