# SPDX-License-Identifier: Apache-2.0
"""Convert masks to messages, each with the header of its image, without slow assignments.

If a memoryview or an ndarray is assigned to ``data``, rclpy checks every byte in Python; an array.array is
not copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..io.encodings import byte_array
from ..segment import Masks
from ..segment.mask_grid import GRIDS, MaskGrid

#: Largest id of a label map with 8 bits.
MAX_SMALL_ID = 255


def image_message(header: Header, pixels: np.ndarray, encoding: str) -> Image:
    """Convert an array ``(H, W[, C])``, uint8 or uint16, to an Image with the given encoding."""
    message = Image()
    message.header = header
    message.height, message.width = pixels.shape[:2]
    message.encoding = encoding
    message.is_bigendian = 0
    message.step = pixels.strides[0] if pixels.flags.c_contiguous else pixels.itemsize * pixels[0].size
    message.data = byte_array(pixels)
    return message


def label_map_message(header: Header, labels: np.ndarray) -> Image:
    """Convert a label map ``(H, W)`` uint16, 0 for background or the object's id, to mono16."""
    return image_message(header, labels, "mono16")


def small_labels(labels: np.ndarray) -> np.ndarray:
    """Convert a label map ``(H, W)`` uint16 to uint8; ids above 255 become background."""
    return np.where(labels > MAX_SMALL_ID, 0, labels).astype(np.uint8)


def mask_pixels(labels: np.ndarray) -> np.ndarray:
    """Convert a label map ``(H, W)`` to uint8, 255 inside any object."""
    return (labels > 0).astype(np.uint8) * np.uint8(255)


def detections_message(
    header: Header, masks: Masks, names: dict[int, str], prompt_scores: Mapping[int, float] | None = None
):
    """Make a Detection2D for each mask: its box, and its id, the value in the label map.

    Its first hypothesis has the class and the predicted IoU of the mask. Where a detector found the object, a
    second one has the class and the detector's score.

    Args:
        header: of the image.
        masks: of the image.
        names: classes by id; an empty name is "object".
        prompt_scores: scores of the detector by id; None: no object has one.
    """
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    message = Detection2DArray(header=header)
    for box, score, identity in zip(
        masks.boxes.tolist(), masks.scores.tolist(), masks.object_ids, strict=True
    ):
        detection = Detection2D(header=header, id=str(identity))
        centre = getattr(detection.bbox.center, "position", detection.bbox.center)
        centre.x, centre.y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        detection.bbox.size_x, detection.bbox.size_y = box[2] - box[0], box[3] - box[1]
        scores = [float(score)]
        if prompt_scores and int(identity) in prompt_scores:
            scores.append(prompt_scores[int(identity)])
        for value in scores:
            hypothesis = ObjectHypothesisWithPose()
            hypothesis.hypothesis.class_id = names.get(int(identity)) or "object"
            hypothesis.hypothesis.score = value
            detection.results.append(hypothesis)
        message.detections.append(detection)
    return message


def label_info_message(header: Header, names: dict[int, str], threshold: float):
    """Make the names of the values of the label map."""
    from vision_msgs.msg import LabelInfo, VisionClass

    message = LabelInfo(header=header, threshold=threshold)
    classes = [VisionClass(class_id=i, class_name=name or "object") for i, name in sorted(names.items())]
    message.class_map = [VisionClass(class_id=0, class_name="background"), *classes]
    return message


class LabelMaps:
    """The label maps of an image, each made when it is used first.

    Args:
        masks: of the image.
        grid: pixels of the published label map.
    """

    def __init__(self, masks: Masks, grid: MaskGrid) -> None:
        self._masks, self._grid = masks, grid

    @cached_property
    def of_image(self) -> np.ndarray:
        """Return ``(H, W)`` uint16 in pixels of the image."""
        return self._masks.label_map()

    @cached_property
    def of_grid(self) -> np.ndarray:
        """Return ``(h, w)`` uint16 in pixels of the published label map."""
        return self.of_image if self._grid is GRIDS["image"] else self._grid.label_map(self._masks)
