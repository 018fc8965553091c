# SPDX-License-Identifier: Apache-2.0
"""Publish the classes of an image; a message without a subscriber is not made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header

from ..dense import ClassTable, LabelMap
from ..geometry3d import labelled_points, no_points
from ..segment import Frame
from ..segment.overlay import draw_notice
from .aligned_depth import AlignedDepth
from .calibration import Calibration
from .camera_context import ReportError
from .compressed_outputs import CompressedOutputs
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
#: Those of them that are published compressed too.
COMPRESSED = ("overlay", "label_map")
#: Outputs for which the confidence is computed.
CONFIDENT = {"confidence", "points"}
#: Seconds to wait for compressed outputs when the node pauses.
FLUSH_TIMEOUT = 2.0


@dataclass(frozen=True)
class SemanticCamera:
    """The camera of a semantic node.

    Attributes:
        report_error: counts, logs and publishes an error.
        inputs: prefix of the input topics.
    """

    report_error: ReportError
    inputs: str = ""


@dataclass(frozen=True)
class AnswerSize:
    """The (H, W) in pixels of an answered image, and of its published label map."""

    image: tuple[int, int]
    labels: tuple[int, int]


class SemanticPublishers:
    """``label_map``, ``overlay``, ``confidence``, ``label_info`` and, with depth, ``points``.

    Args:
        node: a node with a running executor.
        entities: makes the publishers and the subscriptions of depth.
        camera: of the images.
        parameters: at start.
        jpeg_quality: returns the current quality, 1 to 100.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        camera: SemanticCamera,
        parameters: SemanticParameters,
        jpeg_quality: Callable[[], int],
    ) -> None:
        self._compressed = CompressedOutputs(
            node, entities, "~/", jpeg_quality, camera.report_error, COMPRESSED
        )
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
        """Return the outputs that have a subscriber, to their compressed form or not."""
        return self._subscribed() | self._compressed.subscribed()

    def subscriptions(self) -> int:
        """Return the number of subscriptions of all outputs that are no image."""
        return self._publishers["points"].get_subscription_count() if "points" in self._publishers else 0

    def flush(self) -> None:
        """Wait until compressed outputs are published."""
        self._compressed.flush(FLUSH_TIMEOUT)

    def stop(self) -> None:
        """End the thread of the compressed outputs."""
        self._compressed.stop()

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
        images: dict[str, Callable[[], np.ndarray]] = {
            "label_map": lambda: found.labels,
            "confidence": lambda: _confidence(found),
            "overlay": lambda: _overlay(frame.image, found, alpha),
        }
        self._publish_images(header, {name: images[name] for name in outputs & images.keys()})
        if "points" in outputs:
            self._publishers["points"].publish(
                points_message(header, self._cloud(header, frame.image, found))
            )

    def publish_empty(self, header: Header, nothing: AnswerSize | None, reason: str | None) -> None:
        """Publish that no class is known: void label maps, black images, clouds without points.

        Args:
            header: of the last answered image.
            nothing: its size; None where none was answered: nothing is published.
            reason: shown in the overlay; None: images are not published again.
        """
        if nothing is None:
            return
        if reason is not None:
            notice, size = reason, nothing.labels
            images: dict[str, Callable[[], np.ndarray]] = {
                "label_map": lambda: np.zeros(size, np.uint8),
                "confidence": lambda: np.zeros(size, np.float32),
                "overlay": lambda: draw_notice(size, notice),
            }
            self._publish_images(header, images)
        if "points" in self._subscribed():
            cloud = no_points(nothing.image, self._organized)
            self._publishers["points"].publish(points_message(header, cloud))

    def _publish_images(self, header: Header, images: dict[str, Callable[[], np.ndarray]]) -> None:
        """Make and publish the images that have a subscriber."""
        raw, compressed = self._subscribed(), self._compressed.subscribed()
        for name in (raw | compressed) & images.keys():
            pixels = np.ascontiguousarray(images[name]())
            if name in raw:
                self._publishers[name].publish(image_message(header, pixels, ENCODINGS[name]))
            if name in compressed:
                self._compressed.publish(name, header, pixels)

    def _subscribed(self) -> set[str]:
        return {name for name, made in self._publishers.items() if made.get_subscription_count() > 0}

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
