# SPDX-License-Identifier: Apache-2.0
"""Bytes on the wire that are no message of their topic: the node goes on and answers the next good one."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from .harness import pixels
from .prompting import detection, prompt, vision_msgs

#: Damaged messages a topic.
COUNT = 150


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """Cut, lengthened, with bytes changed, or all of it noise, behind a sound CDR header or not."""
    data = np.frombuffer(content, np.uint8).copy()
    kind = rng.integers(5)
    if kind == 0:
        data = data[: rng.integers(0, len(data))]
    elif kind == 1:
        places = rng.integers(4, min(len(data), 120), rng.integers(1, 8))
        data[places] = rng.integers(0, 256, len(places))
    elif kind == 2:  # a length or a number that is far too large
        place = 4 * rng.integers(1, min(len(data), 120) // 4)
        data[place : place + 4] = np.frombuffer(
            np.uint32(rng.choice([0xFFFFFFFF, 0x7FFFFFFF, 1 << 20])).tobytes(), np.uint8
        )
    elif kind == 3:
        data = np.concatenate([data[:4], rng.integers(0, 256, rng.integers(0, 400)).astype(np.uint8)])
    else:
        data = rng.integers(0, 256, rng.integers(0, 200)).astype(np.uint8)
    return data.tobytes()


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_tracking=False)
    made.wait_state("active")
    prompt(made, detection(60, 40, 50, 30))
    return made


@pytest.mark.parametrize("topic", ["image", "prompts", "point", "pixel"])
def test_the_node_survives_and_answers(robot, topic):
    rng = np.random.default_rng(len(topic))
    sound = {
        "image": Image(height=48, width=64, step=64, encoding="mono8", data=bytes(48 * 64)),
        "prompts": vision_msgs.Detection2DArray(detections=[detection(60, 40, 50, 30)]),
        "point": PointStamped(point=Point(x=60.0, y=40.0)),
        "pixel": Point(x=60.0, y=40.0),
    }[topic]
    name = "/image" if topic == "image" else robot.topic(topic)
    robot.peer.publish(name, sound)  # makes the publisher, and waits for the node
    content = serialize_message(sound)
    for _ in range(COUNT):
        # A Point has one size, and no publisher sends more.
        most = len(content) if topic == "pixel" else None
        robot.peer.publishers[name].publish(damaged(rng, content)[:most])
        robot.peer.until(lambda: False, 0.005)
    assert robot.process.process.poll() is None, robot.process.output
    assert robot.peer.until(lambda: robot.diagnostics.get("state") == "active")
    prompt(robot, detection(60, 40, 50, 30))
    assert pixels(robot.answer(Image, "mask"))[40, 60] == 255
