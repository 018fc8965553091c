# SPDX-License-Identifier: Apache-2.0
"""A camera a process, in namespaces of one domain: neither hears what is the other's."""

from geometry_msgs.msg import Point
from sensor_msgs.msg import Image

from .harness import Process, pixels

CLICKS = {"/front": (30.0, 40.0), "/rear": (90.0, 50.0)}


def values(robot, namespace: str) -> dict[str, str]:
    """The newest diagnostics of a namespace's segmenter."""
    for message in reversed(robot.status):
        for status in message.status:
            if status.name.startswith(f"{namespace}/segmenter"):
                return {entry.key: entry.value for entry in status.values}
    return {}


def test_two_processes_serve_two_cameras(robots, known_bundle, tmp_path):
    robot = robots(extra=("-r", "__ns:=/front"), node="/front/segmenter", enable_tracking=False)
    parameters = {"model": known_bundle, "enable_tracking": False, "diagnostics_period_s": 0.2}
    rear = Process("segmenter", robot.domain, tmp_path / "rear.log", parameters, ("-r", "__ns:=/rear"))
    try:
        masks = {name: robot.peer.listen(Image, f"{name}/segmenter/mask") for name in CLICKS}
        for name, (x, y) in CLICKS.items():
            assert robot.peer.until(lambda name=name: values(robot, name).get("state") == "active", 300)
            robot.peer.publish(f"{name}/segmenter/pixel", Point(x=x, y=y))
            assert robot.peer.until(lambda name=name: values(robot, name).get("prompts_in") == "1")
        for name, (x, y) in CLICKS.items():
            others = {other: len(heard) for other, heard in masks.items() if other != name}
            for _ in range(10):
                robot.send_image(f"{name}/image")
                if robot.peer.until(lambda name=name: bool(masks[name]), 1.0):
                    break
            answer = pixels(masks[name][-1])
            assert answer[int(y), int(x)] == 255
            assert not any(answer[int(v), int(u)] for u, v in CLICKS.values() if (u, v) != (x, y))
            assert all(len(masks[other]) == count for other, count in others.items())
    finally:
        assert rear.stop() == 0, rear.output
