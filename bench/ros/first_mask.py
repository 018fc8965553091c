# SPDX-License-Identifier: Apache-2.0
"""Click as soon as the segmenter listens, and report its masks: ``python -m bench.ros.first_mask X Y MASKS``.

Prints JSON lines, in seconds of the monotonic clock: ``{"images": …}`` once the camera's images arrive,
``{"found": …}`` when the segmenter's topic was discovered, ``{"first": …}`` at the first mask with an object,
and ``{"masks": N}`` after N of them.
"""

from __future__ import annotations

import json
import sys
import time

import rclpy
from geometry_msgs.msg import Point, PointStamped
from rclpy.node import Node
from sensor_msgs.msg import Image

from evitsam_ros.malloc import tune_malloc
from evitsam_ros.nodes.fastdds import use_profile
from evitsam_ros.nodes.qos import newest_only, results
from evitsam_ros.nodes.runtime import ros

#: Seconds between checks for a subscriber, and until an unanswered click is repeated.
POLL_PERIOD, RETRY_PERIOD = 0.01, 1.0


def emit(**event: float) -> None:
    """Print an event as a line of JSON."""
    print(json.dumps(event), flush=True)


class FirstMask(Node):
    """A client that prompts the segmenter and waits for its masks."""

    def __init__(self, x: float, y: float, masks: int) -> None:
        super().__init__("bench_listener")
        self._point, self._masks = Point(x=x, y=y), masks
        self._with_object, self._clicked = 0, 0.0
        self._images = self.create_subscription(Image, "image", self._on_image, newest_only("best_effort"))
        self.create_subscription(Image, "segmenter/label_map", self._on_mask, results())
        self._clicks = self.create_publisher(PointStamped, "segmenter/point", 5)
        self.create_timer(POLL_PERIOD, self._poll)

    def _on_image(self, message: Image) -> None:
        if self._images is not None:
            emit(images=time.monotonic())
            # Receiving images takes time from the segmenter; only the first one is needed.
            self.destroy_subscription(self._images)
            self._images = None

    def _poll(self) -> None:
        now = time.monotonic()
        subscribed = self._clicks.get_subscription_count() > 0
        if subscribed and not self._with_object and now - self._clicked > RETRY_PERIOD:
            if not self._clicked:
                emit(found=now)
            self._clicked = now
            self._clicks.publish(PointStamped(point=self._point))

    def _on_mask(self, message: Image) -> None:
        now = time.monotonic()
        if not any(message.data):
            return
        self._with_object += 1
        if self._with_object == 1:
            emit(first=now)
        if self._with_object == self._masks:
            emit(masks=self._masks)


def main(x: str, y: str, masks: str) -> int:
    """Run the client; return the exit code."""
    use_profile()
    tune_malloc()
    with ros([]):
        node = FirstMask(float(x), float(y), int(masks))
        rclpy.spin(node)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
