# SPDX-License-Identifier: Apache-2.0
"""Answer every image with an empty label map of its size, in place of the segmenter.

Without a delay it measures the transport of image and mask alone, the lower bound of the segmenter's ROS
cost. With a delay its answer is known beforehand, to check the measurement.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from evitsam_ros.malloc import tune_malloc
from evitsam_ros.nodes.fastdds import use_profile
from evitsam_ros.nodes.messages import label_map_message
from evitsam_ros.nodes.qos import newest_only, results
from evitsam_ros.nodes.runtime import spin_node


class StandIn(Node):
    """Subscribe ``image`` or ``image/compressed``, publish ``~/label_map``, as the segmenter does.

    Parameters: ``delay_ms`` before every answer; ``compressed``; ``width`` and ``height`` of the answer to a
    compressed image, which is not decoded, or with ``own_size`` to every image.
    """

    def __init__(self, *, subscribe: bool = True) -> None:
        super().__init__("stand_in")
        defaults = {"delay_ms": 0.0, "compressed": False, "width": 640, "height": 480, "own_size": False}
        given = {name: self.declare_parameter(name, value).value for name, value in defaults.items()}
        self._delay = given["delay_ms"] / 1e3
        self._has_own_size = given["own_size"] or given["compressed"]
        self._size = given["height"], given["width"]
        self._labels = self.create_publisher(Image, "~/label_map", results())
        if subscribe:
            compressed = given["compressed"]
            kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
            self.create_subscription(kind, topic, self.on_image, newest_only("best_effort"))

    def on_image(self, message: Image | CompressedImage) -> None:
        """Answer an image."""
        time.sleep(self._delay)
        size = self._size if self._has_own_size else (message.height, message.width)
        self._labels.publish(label_map_message(message.header, np.zeros(size, np.uint16)))


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    tune_malloc()
    use_profile()
    return spin_node("stand_in", StandIn, args)


if __name__ == "__main__":
    sys.exit(main())
