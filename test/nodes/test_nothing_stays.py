# SPDX-License-Identifier: Apache-2.0
"""Nothing stays that is no longer true: what a listener that misses messages shows is what the node knows."""

from __future__ import annotations

import signal
import time
from typing import ClassVar

import cv2
import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_srvs.srv import SetBool, Trigger
from visualization_msgs.msg import Marker, MarkerArray

from evitsam_ros.nodes.messages import image_message

from .harness import change_state, pixels, set_parameter
from .prompting import detection, prompt, vision_msgs

WIDTH, HEIGHT, FOCAL = 160, 120, 100.0
GREY = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


class Listener:
    """What RViz and a planner show: the state after the messages that they got, with queues of one.

    It hears only when it looks, so that most messages are missed.
    """

    KINDS: ClassVar[dict[str, type]] = {
        "boxes_3d": MarkerArray,
        "points": PointCloud2,
        "detections_3d": vision_msgs.Detection3DArray,
        "detections": vision_msgs.Detection2DArray,
        "label_map": Image,
        "mask": Image,
        "overlay": Image,
        "mask/compressed": CompressedImage,
    }

    WITHOUT_IDS = ("mask", "overlay", "mask/compressed")

    def __init__(self, robot) -> None:
        self.node = rclpy.create_node("viewer", context=robot.peer.context)
        self.executor = SingleThreadedExecutor(context=robot.peer.context)
        self.executor.add_node(self.node)
        self.markers: dict[tuple[str, int], float] = {}
        self.last: dict[str, object] = {}
        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)
        for name, kind in self.KINDS.items():
            self.node.create_subscription(
                kind, robot.topic(name), lambda message, name=name: self._hear(name, message), qos
            )
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(
            vision_msgs.LabelInfo,
            robot.topic("label_info"),
            lambda message: self._hear("label_info", message),
            latched,
        )

    def _hear(self, name: str, message) -> None:
        self.last[name] = message
        if name != "boxes_3d":
            return
        for marker in message.markers:  # as RViz does
            if marker.action == Marker.DELETEALL:
                self.markers.clear()
            elif marker.action == Marker.ADD:
                lifetime = marker.lifetime.sec + marker.lifetime.nanosec / 1e9
                ends = time.monotonic() + lifetime if lifetime else float("inf")
                self.markers[marker.ns, marker.id] = ends

    def look(self, seconds: float = 0.3) -> dict[str, set[int]]:
        """The ids that each output shows; those of images without ids are 1 for any object."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return {name: self._ids(name) for name in ("boxes_3d", *self.last)}

    def _ids(self, name: str) -> set[int]:
        if name == "boxes_3d":
            now = time.monotonic()
            return {identity for (_, identity), ends in self.markers.items() if ends > now}
        message = self.last[name]
        if isinstance(message, PointCloud2):
            raw = np.frombuffer(bytes(message.data), np.uint8).reshape(-1, message.point_step)
            offset = next(field.offset for field in message.fields if field.name == "label")
            return set(raw[:, offset : offset + 2].copy().view("<u2").ravel().tolist())
        if hasattr(message, "detections"):
            return {int(item.id) for item in message.detections}
        if hasattr(message, "class_map"):
            return {item.class_id for item in message.class_map} - {0}
        if name == "label_map":
            return set(np.unique(pixels(message, np.uint16)).tolist()) - {0}
        if name == "mask":
            return {1} if pixels(message).any() else set()
        if name == "overlay":  # the test's image is grey
            return {1} if np.ptp(pixels(message).astype(int), axis=-1).any() else set()
        return {1} if _decoded(message).any() else set()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()


def _decoded(message: CompressedImage) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_depth=True, backend="onnxruntime", output_timeout_s=2.0)
    made.wait_state("active")
    return made


@pytest.fixture(scope="module")
def viewer(robot):
    made = Listener(robot)
    yield made
    made.close()


def send(robot, depth: bool = True) -> None:
    """An image, with its depth just before it."""
    k = [FOCAL, 0.0, 80.0, 0.0, FOCAL, 60.0, 0.0, 0.0, 1.0]
    info = CameraInfo(width=WIDTH, height=HEIGHT, k=k, distortion_model="plumb_bob", d=[0.0] * 5)
    robot.peer.keep_publishing("/camera_info", info)
    if depth:
        wall = image_message(info.header, np.full((HEIGHT, WIDTH), 2000, np.uint16), "16UC1")
        wall.header.stamp.sec = robot.stamp + 1
        robot.peer.publish("/depth", wall)
        robot.peer.until(lambda: False, 0.1)
    robot.send_image(image=GREY)
    robot.peer.until(lambda: False, 0.1)


def until_shown(robot, viewer, expected, seconds: float = 150.0, *, images: bool = True, depth: bool = True):
    """Send images until the listener shows what is wanted; what it shows."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if images:
            for _ in range(4):  # the listener sees the last of them
                send(robot, depth)
        else:
            robot.peer.until(lambda: False, 0.2)
        shown = viewer.look()
        if len(shown) == len(Listener.KINDS) + 1 and expected(shown):
            return shown
    raise AssertionError(f"{viewer.look()}\n{robot.diagnostics}\n{robot.process.output}")


def only(*ids: int):
    """Whether every output shows just these."""
    return lambda shown: all(
        found == ({1} if name in Listener.WITHOUT_IDS else set(ids)) for name, found in shown.items()
    )


def is_empty(shown: dict[str, set[int]]) -> bool:
    return not any(shown.values())


def three(robot, viewer) -> None:
    """Three objects that everything shows."""
    boxes = [detection(x, 60, 30, 30, name="cup") for x in (30, 80, 130)]
    prompt(robot, *boxes)
    until_shown(robot, viewer, only(1, 2, 3))


def test_a_starting_node_publishes_empty_outputs(viewer):
    """A listener may still show the answers of a node that has ended."""
    viewer.markers["boxes", 7] = float("inf")
    end = time.monotonic() + 150
    while time.monotonic() < end and not {"boxes_3d", "detections", "detections_3d"} <= viewer.last.keys():
        viewer.look()
    assert is_empty(viewer.look(0.0)) and not viewer.markers, "no image was sent yet"


def test_removed_objects_go_though_messages_are_missed(robot, viewer):
    three(robot, viewer)
    prompt(robot, detection(80, 60, 30, 30, name="cup"))
    until_shown(robot, viewer, only(2))
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    until_shown(robot, viewer, is_empty)


def test_without_depth_points_are_empty_and_boxes_and_masks_continue(robot, viewer):
    three(robot, viewer)
    shown = until_shown(robot, viewer, lambda shown: not shown["points"] and bool(shown["mask"]), depth=False)
    assert not shown["boxes_3d"] and not shown["detections_3d"] and shown["label_map"] == {1, 2, 3}


def test_outputs_are_empty_when_the_camera_is_lost(robot, viewer):
    three(robot, viewer)
    until_shown(robot, viewer, is_empty, images=False)
    until_shown(robot, viewer, lambda shown: shown["boxes_3d"] == {1, 2, 3})


def test_disabled_and_deactivated_nodes_leave_empty_outputs(robot, viewer):
    three(robot, viewer)
    robot.peer.call(SetBool, robot.topic("enable"), SetBool.Request(data=False))
    until_shown(robot, viewer, is_empty)
    robot.peer.call(SetBool, robot.topic("enable"), SetBool.Request(data=True))
    until_shown(robot, viewer, lambda shown: shown["boxes_3d"] == {1, 2, 3})
    assert change_state(robot, Transition.TRANSITION_DEACTIVATE)
    assert is_empty(viewer.look(1.0)), viewer.look()
    assert change_state(robot, Transition.TRANSITION_ACTIVATE)


def test_a_mode_change_clears_prompted_objects_without_another_image(robot, viewer):
    three(robot, viewer)
    assert set_parameter(robot, "output_timeout_s", 0.0).successful
    assert set_parameter(robot, "mode", "everything").successful
    until_shown(robot, viewer, is_empty, images=False)
    assert set_parameter(robot, "output_timeout_s", 2.0).successful
    assert set_parameter(robot, "mode", "prompt").successful


def test_boxes_of_a_node_that_hangs_go_by_themselves(robot, viewer):
    """Their lifetime ends; so the listener needs no message."""
    three(robot, viewer)
    robot.process.process.send_signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + 100
        while viewer.look()["boxes_3d"] and time.monotonic() < end:
            pass
        assert not viewer.look()["boxes_3d"]
    finally:
        robot.process.process.send_signal(signal.SIGCONT)
