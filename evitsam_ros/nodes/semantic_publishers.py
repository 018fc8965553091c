# SPDX-License-Identifier: Apache-2.0
"""Publish the classes of an image; a message without a subscriber is not made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from ..dense import ClassTable, LabelMap
from ..geometry3d import labelled_points, no_points
from ..segment import Frame
from .aligned_depth import AlignedDepth
from .calibration import Calibration
from .camera_context import ReportError
from .managed_entities import ManagedEntities
from .messages import image_message
from .messages_3d import points_message
from .qos import latched, results
from .semantic_parameters import SemanticParameters

try:
    from vision_msgs.msg import LabelInfo, VisionClass
except ImportError:  # the node works without; it logs that when it starts
    LabelInfo = VisionClass = None

#: Images and their encodings.
ENCODINGS = {"label_map": "mono8", "overlay": "rgb8", "confidence": "32FC1"}
#: Outputs for which the confidence is computed.
CONFIDENT = {"confidence", "points"}


@dataclass(frozen=True)
class SemanticCamera:
    """The camera of a semantic node.

    Attributes:
        report_error: counts, logs and publishes an error.
        inputs: prefix of the input topics.
    """

    report_error: ReportError
    inputs: str = ""


class SemanticPublishers:
    """``label_map``, ``overlay``, ``confidence``, ``label_info`` and, with depth, ``points``.

    Args:
        node: a node with a running executor.
        entities: makes the publishers and the subscriptions of depth.
        camera: of the images.
        parameters: at start.
    """

    def __init__(
        self, node: Any, entities: ManagedEntities, camera: SemanticCamera, parameters: SemanticParameters
    ) -> None:
        self._publishers = {name: entities.publisher(Image, f"~/{name}", results()) for name in ENCODINGS}
        self._entities = entities
        self._depth: AlignedDepth | None = None
        self._organized = parameters.organized_cloud
        if parameters.enable_depth:
            self._publishers["points"] = entities.publisher(PointCloud2, "~/points", results())
            calibration = Calibration(
                entities,
                camera.inputs + "camera_info",
                parameters.reliability,
                rectified=parameters.image_rectified,
            )
            self._depth = AlignedDepth(node, entities, camera, calibration, parameters)

    def subscribed(self) -> set[str]:
        """Return the outputs that have a subscriber."""
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

    def expect_depth(self, header: Header) -> None:
        """Hold the depth of an image while it is processed."""
        if self._depth is not None:
            self._depth.expect(header)

    def publish_classes(self, classes: ClassTable, header: Header, threshold: float) -> bool:
        """Publish the names of the label map's values, also for later subscribers.

        Returns:
            Whether they were published; False without vision_msgs.
        """
        if LabelInfo is None:
            return False
        message = LabelInfo(header=header, threshold=threshold)
        message.class_map = [
            VisionClass(class_id=value, class_name=name)
            for value, name in enumerate(("void", *classes.names))
        ]
        self._label_info = self._entities.publisher(LabelInfo, "~/label_info", latched())
        self._label_info.publish(message)
        return True

    def publish(self, outputs: set[str], header: Header, frame: Frame, found: LabelMap, alpha: float) -> None:
        """Publish outputs with the header of their image.

        Args:
            outputs: their names.
            header: of the image.
            frame: the image.
            found: its classes, with the confidence where an output needs it.
            alpha: opacity of the overlay.
        """
        make = {
            "label_map": lambda: _image(header, found.labels, "label_map"),
            "confidence": lambda: _image(header, _confidence(found), "confidence"),
            "overlay": lambda: _image(header, _overlay(frame.image, found, alpha), "overlay"),
            "points": lambda: points_message(header, self._cloud(header, frame.image, found)),
        }
        for name in outputs:
            self._publishers[name].publish(make[name]())

    def _cloud(self, header: Header, image: np.ndarray, found: LabelMap) -> np.ndarray:
        """Return the labelled points; none without the depth of the image."""
        size = image.shape[:2]
        labels, confidence = (
            _at_size(found.labels, size),
            _at_size(cast("np.ndarray", found.confidence), size),
        )
        aligned = cast("AlignedDepth", self._depth).find(header, labels)
        if aligned is None:
            return no_points(size, self._organized)
        return labelled_points(*aligned, image, labels, confidence, self._organized)


def _image(header: Header, pixels: np.ndarray, output: str) -> Image:
    return image_message(header, np.ascontiguousarray(pixels), ENCODINGS[output])


def _confidence(found: LabelMap) -> np.ndarray:
    return cast("np.ndarray", found.confidence if found.class_confidence is None else found.class_confidence)


def _overlay(image: np.ndarray, found: LabelMap, alpha: float) -> np.ndarray:
    height, width = found.labels.shape
    if image.shape[:2] != (height, width):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return found.overlay(image, alpha)


def _at_size(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Bring labels or confidences at the network's resolution to the image's."""
    if values.shape == tuple(size):
        return values
    return cv2.resize(values, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
