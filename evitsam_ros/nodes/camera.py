# SPDX-License-Identifier: Apache-2.0
"""Publish an image, a folder, a video or a device as a camera would; a scene, as a camera with depth."""

from __future__ import annotations

import array
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from ..io.raw_pixels import MAX_SIDE
from ..io.scenes import PREFIX, Scene, SceneError, open_scene
from ..io.sources import EXAMPLE, SourceError, open_source
from ..malloc import tune_malloc
from .fastdds import use_profile
from .messages import image_message
from .qos import RELIABILITY, newest_only, transport_topic
from .runtime import ros, shut_down, spin_alone, started
from .scene_output import SceneOutput

PARAMETERS = {
    "source": (
        EXAMPLE,
        "Image, folder, video file, bag, device, or example: a photograph in the package; scene:room and "
        "scene:motorcycle have depth and camera_info too.",
    ),
    "rate": (10.0, "Frames per second."),
    "loop": (True, "Restart at the end of the source."),
    "motion": (0.0, "Amplitude of the movement of a still image, as a share of its size."),
    "encoding": ("bgr8", "bgr8, rgb8 or mono8; compressed images are JPEG."),
    "compressed": (False, "Publish image/compressed instead of image."),
    "jpeg_quality": (90, "Quality of compressed images."),
    "frame_id": ("camera_optical_frame", "Coordinate frame of the images."),
    "width": (0, "Resize to this width in pixels; 0: no resizing."),
    "reliability": ("reliable", "QoS: reliable or best_effort."),
}
CONVERSIONS = {"bgr8": None, "rgb8": cv2.COLOR_BGR2RGB, "mono8": cv2.COLOR_BGR2GRAY}
CHOICES = {"encoding": tuple(CONVERSIONS), "reliability": tuple(RELIABILITY)}
#: Parameter -> (min, max).
RANGES = {"rate": (0.01, 1000.0), "motion": (0.0, 1.0), "jpeg_quality": (0, 100), "width": (0, MAX_SIDE)}


class CameraNode(Node):
    """Publish ``image`` (or ``image/compressed``) from a source.

    Args:
        hand_over: called with each message, in this process; other processes receive it when they subscribe.
        namespace: of the node and its topic.
    """

    def __init__(self, hand_over: Callable[[Any], None] | None = None, namespace: str = "") -> None:
        super().__init__("camera", namespace=namespace or None)
        self._hand_over = hand_over
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        self.options = {name: self.get_parameter(name).value for name in PARAMETERS}
        if reason := _wrong(self.options):
            raise SourceError(f"parameter {reason}")
        scene = open_scene_source(self.options)
        self.frames: Iterator[np.ndarray] = (
            itertools.repeat(scene.image)
            if scene is not None
            else open_source(self.options["source"], self.options["loop"], self.options["motion"])
        )
        kind, transport = (CompressedImage, "compressed") if self.options["compressed"] else (Image, "raw")
        topic = transport_topic(self, "image", transport)
        self.publisher = self.create_publisher(kind, topic, newest_only(self.options["reliability"]))
        self._depth = SceneOutput(self, scene, self.options["reliability"]) if scene is not None else None
        self.create_timer(1.0 / self.options["rate"], self._tick)

    def _tick(self) -> None:
        frame = next(self.frames, None)
        if frame is None:
            self.get_logger().info("the source has ended")
            shut_down()
            return
        if self.options["width"]:
            height = max(1, round(frame.shape[0] * self.options["width"] / frame.shape[1]))
            if height > MAX_SIDE:
                raise SourceError(
                    f"parameter width is {self.options['width']}, so an image is {height} pixels high; "
                    f"expected at most {MAX_SIDE}"
                )
            frame = cv2.resize(frame, (self.options["width"], height), interpolation=cv2.INTER_AREA)
        message = self._compress(frame) if self.options["compressed"] else self._raw(frame)
        if self._depth is not None:
            self._depth.publish(message.header)
        if self._hand_over is not None:
            self._hand_over(message)
        if self._hand_over is None or self.publisher.get_subscription_count():
            self.publisher.publish(message)

    def _header(self):
        from std_msgs.msg import Header

        return Header(stamp=self.get_clock().now().to_msg(), frame_id=self.options["frame_id"])

    def _raw(self, frame: np.ndarray) -> Image:
        code = CONVERSIONS[self.options["encoding"]]
        pixels = frame if code is None else cv2.cvtColor(frame, code)
        return image_message(self._header(), pixels, self.options["encoding"])

    def _compress(self, frame: np.ndarray) -> CompressedImage:
        quality = [cv2.IMWRITE_JPEG_QUALITY, self.options["jpeg_quality"]]
        try:
            encoded = cv2.imencode(".jpg", frame, quality)[1]
        except cv2.error as error:
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise SourceError(f"an image of {size} pixels does not fit into a JPEG ({error.err})") from error
        message = CompressedImage(header=self._header(), format="jpeg")
        message.data = array.array("B", encoded.tobytes())
        return message


def open_scene_source(options: dict[str, Any]) -> Scene | None:
    """Return the scene that is the source; None for any other source.

    Raises:
        SourceError: It cannot be opened, or would not fit its calibration.
    """
    if not options["source"].startswith(PREFIX):
        return None
    for name in ("motion", "width"):
        if options[name]:
            raise SourceError(
                f"parameter {name} is {options[name]}; expected 0 with source {options['source']}, "
                "because it would change the calibration"
            )
    try:
        return open_scene(options["source"].removeprefix(PREFIX))
    except SceneError as error:
        raise SourceError(str(error)) from error


def _wrong(options: dict[str, Any]) -> str:
    """Describe the first parameter that cannot be used; empty when there is none."""
    for name, choices in CHOICES.items():
        if options[name] not in choices:
            return f"{name} is {options[name]!r}; expected {', '.join(choices)}"
    for name, (low, high) in RANGES.items():
        if not low <= options[name] <= high:  # NaN is outside too
            return f"{name} is {options[name]}; expected {low} to {high}"
    return ""


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    use_profile()
    tune_malloc()
    with ros(args):
        node = started("camera", CameraNode)
        try:
            spin_alone(node)
        except SourceError as error:
            node.get_logger().error(str(error))
            return 1
        finally:
            node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
