# SPDX-License-Identifier: Apache-2.0
"""Remapped topics of compressed images, by the names that real nodes subscribe and publish."""

import array

import cv2
import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import CompressedImage

from evitsam_ros.nodes.qos import transport_topic

REMAPPED = "/cam/image_raw/compressed"


@pytest.fixture(scope="module")
def context():
    made = rclpy.Context()
    rclpy.init(context=made, domain_id=0)
    yield made
    rclpy.shutdown(context=made)


@pytest.mark.parametrize(
    ("namespace", "base", "remapping", "expected"),
    [
        ("/", "image", "image:=/cam/image_raw", REMAPPED),
        ("/robot", "image", "image:=cam/image_raw", "/robot/cam/image_raw/compressed"),
        ("/robot", "image", "a:=b", "/robot/image/compressed"),
        ("/", "front/image", "front/image:=/cam/image_raw", REMAPPED),
        ("/", "image", "image/compressed:=/cam/image_raw/compressed", REMAPPED),
        ("/", "image", f"image:=/cam/image_raw -r image/compressed:={REMAPPED}", REMAPPED),
    ],
)
def test_the_base_topic_is_remapped(context, namespace, base, remapping, expected):
    arguments = ["--ros-args", "-r", *remapping.split()]
    node = rclpy.create_node("node", context=context, namespace=namespace, cli_args=arguments)
    topic = transport_topic(node, base, "compressed")
    made = node.create_subscription(CompressedImage, topic, lambda message: None, 1)
    assert made.topic_name == expected
    assert transport_topic(node, base, "raw") == base
    node.destroy_node()


def test_a_segmenter_listens_to_the_camera_that_is_remapped(robots):
    robot = robots(extra=("-r", "image:=/cam/image_raw"), image_transport="compressed", mode="everything")
    robot.wait_state("active")
    jpeg = cv2.imencode(".jpg", np.full((96, 128, 3), 90, np.uint8))[1]
    message = CompressedImage(format="jpeg", data=array.array("B", jpeg.tobytes()))
    assert robot.peer.until(
        lambda: robot.peer.publish(REMAPPED, message) or robot.count("frames_in") > 0, 30
    ), robot.process.output
