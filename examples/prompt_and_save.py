# SPDX-License-Identifier: Apache-2.0
"""Prompt a running segmenter node with a box, and save the mask of the next answered image.

    ros2 run evitsam_ros segmenter --ros-args -r image:=/camera/image_raw
    python examples/prompt_and_save.py --box 95 0 330 505 --out mask.png

This is an ordinary ROS 2 node: it publishes on ~/prompts and subscribes to ~/label_map.
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2D, Detection2DArray


def box_message(x0: float, y0: float, x1: float, y1: float) -> Detection2DArray:
    """Return a box in pixels as a detector publishes it; stamp 0 means the newest image."""
    detection = Detection2D(id="1")
    detection.bbox.center.position.x, detection.bbox.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
    detection.bbox.size_x, detection.bbox.size_y = x1 - x0, y1 - y0
    return Detection2DArray(detections=[detection])


def main() -> int:
    """Return 0 when a mask was saved, 1 when none arrived in time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--box", type=float, nargs=4, required=True, metavar=("X0", "Y0", "X1", "Y1"))
    parser.add_argument("--node", default="/segmenter", help="name of the segmenter node")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds")
    parser.add_argument("--out", type=Path, default=Path("mask.png"))
    options = parser.parse_args()

    rclpy.init()
    node, received = rclpy.create_node("prompt_and_save"), []
    node.create_subscription(Image, f"{options.node}/label_map", received.append, 1)
    prompts = node.create_publisher(Detection2DArray, f"{options.node}/prompts", 1)
    end, labels = time.monotonic() + options.timeout, np.zeros((1, 1))
    while not labels.any() and time.monotonic() < end:  # 0 is the background
        prompts.publish(box_message(*options.box))  # an equal id is the same object
        rclpy.spin_once(node, timeout_sec=0.5)
        if received:
            labels = np.frombuffer(received[-1].data, np.uint16).reshape(received[-1].height, -1)
    if not labels.any():
        print(f"no mask on {options.node}/label_map; does the node receive images?", file=sys.stderr)
        return 1
    cv2.imwrite(str(options.out), (labels > 0).astype(np.uint8) * 255)
    return 0


if __name__ == "__main__":
    sys.exit(main())
