# SPDX-License-Identifier: Apache-2.0
"""Real nodes in processes of their own, over real DDS on loopback, and a peer that talks to them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile, QoSReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from evitsam_ros.nodes.messages import image_message  # noqa: E402

#: Domains that no other test process uses at the same time (0 to 101 are safe everywhere).
_DOMAINS = itertools.count(10 + os.getpid() % 80)
#: Parameters of a robot that is given no others. In float32 nothing is measured beside the test.
DEFAULTS = {"diagnostics_period_s": 0.2, "precision": "fp32"}


def next_domain() -> int:
    """Return a ROS domain that no other test uses at the same time."""
    return next(_DOMAINS) % 101


class Process:
    """``python -m evitsam_ros.nodes.<module>``, or a module with a dot in its name, with ROS arguments."""

    def __init__(
        self,
        module: str,
        domain: int,
        log: Path,
        parameters: dict,
        extra: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> None:
        given = [part for key, value in parameters.items() for part in ("-p", f"{key}:={value}")]
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        environment |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        module = module if "." in module else f"evitsam_ros.nodes.{module}"
        command = [sys.executable, "-m", module, *flags, "--ros-args", *given, *extra]
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """SIGINT, as Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=200)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9


class Peer:
    """A node in the test's process: publishes, listens, calls."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("peer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.heard: dict[str, list] = {}
        self.publishers: dict[str, object] = {}
        self.repeated: dict[str, object] = {}

    def listen(self, kind: type, topic: str) -> list:
        """All messages on ``topic`` from now on, in a list that grows."""
        if topic not in self.heard:
            heard = self.heard.setdefault(topic, [])
            self.node.create_subscription(kind, topic, heard.append, 20)
        return self.heard[topic]

    def publish(self, topic: str, message, reliable: bool = True) -> None:
        if topic not in self.publishers:
            policy = QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT
            qos = QoSProfile(depth=5, reliability=policy)
            self.publishers[topic] = self.node.create_publisher(type(message), topic, qos)
            self.until(lambda: self.publishers[topic].get_subscription_count() > 0, 150)
        self.publishers[topic].publish(message)

    def keep_publishing(self, topic: str, message) -> None:
        """``message`` now and ten times a second from now on, in place of the one before it.

        As cameras send their calibration: to a best-effort reader that is not matched yet, once may be never.
        """
        if topic not in self.repeated:
            self.node.create_timer(0.1, lambda: self.publish(topic, self.repeated[topic]))
        self.repeated[topic] = message
        self.publish(topic, message)

    def until(self, done: Callable[[], bool], seconds: float = 10.0) -> bool:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.05)
        return bool(done())

    def call(self, kind: type, name: str, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(timeout_sec=15), f"no service {name}"
        future = client.call_async(request)
        assert self.until(future.done, 150), f"no answer from {name}"
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


class Robot:
    """A segmenter process and a peer on a domain of their own."""

    def __init__(
        self,
        folder: Path,
        bundle: Path,
        extra: tuple[str, ...] = (),
        node: str = "/segmenter",
        module: str = "segmenter",
        **parameters,
    ) -> None:
        self.domain = next_domain()
        self.name = node
        self.peer = Peer(self.domain)
        log = folder / f"segmenter_{self.domain}.log"
        self.process = Process(module, self.domain, log, {**DEFAULTS, "model": bundle, **parameters}, extra)
        self.status = self.peer.listen(DiagnosticArray, "/diagnostics")
        self.stamp = 100

    def topic(self, name: str) -> str:
        return f"{self.name}/{name}"

    @property
    def diagnostics(self) -> dict[str, str]:
        """The newest diagnostics of the segmenter."""
        values = {}
        for message in self.status[-1:]:
            values = {entry.key: entry.value for entry in message.status[0].values}
        return values

    def wait_state(self, state: str) -> None:
        assert self.peer.until(lambda: self.diagnostics.get("state") == state, 300), self.process.output

    def send_image(self, topic: str = "/image", image: np.ndarray | None = None, **changes) -> Image:
        """Publish an image with a stamp of its own; ``changes`` damage the message."""
        self.stamp += 1
        pixels = np.full((96, 128, 3), 90, np.uint8) if image is None else image
        message = image_message(Header(frame_id="camera_7"), pixels, "rgb8")
        message.header.stamp.sec = self.stamp
        for field, value in changes.items():
            setattr(message, field, value)
        self.peer.publish(topic, message)
        return message

    def answer(self, kind: type, output: str, seconds: float = 150.0, **image):
        """Send images until one of them is answered on ``output``; the answer."""
        heard = self.peer.listen(kind, self.topic(output))
        first = self.stamp + 1
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.send_image(**image)
            if self.peer.until(lambda: any(m.header.stamp.sec >= first for m in heard), 1.0):
                return next(m for m in heard if m.header.stamp.sec >= first)
        raise AssertionError(f"no answer on {output}: {self.diagnostics}\n{self.process.output}")

    def count(self, name: str) -> int:
        return int(self.diagnostics.get(name, 0))

    def close(self) -> int:
        code = self.process.stop()
        self.peer.close()
        return code


class Robots:
    """Make robots for the tests of a module.

    Args:
        folder: for logs.
        bundle: model of a robot that is given none.
    """

    def __init__(self, folder: Path, bundle: Path) -> None:
        self._folder, self._bundle = folder, bundle
        self._made: list[Robot] = []

    def __call__(self, bundle: Path | None = None, **options) -> Robot:
        self._made.append(Robot(self._folder, bundle or self._bundle, **options))
        return self._made[-1]

    def close(self) -> None:
        """Stop all robots; each has to end cleanly."""
        codes = [robot.close() for robot in self._made]
        outputs = [robot.process.output for robot in self._made]
        assert all(code in (0, 2) for code in codes), (codes, outputs)


def pixels(message: Image, kind: type = np.uint8) -> np.ndarray:
    """An image message as an array."""
    flat = np.frombuffer(bytes(message.data), kind)
    channels = message.step // (message.width * np.dtype(kind).itemsize)
    return flat.reshape(message.height, message.width, channels).squeeze()


def transform(parent: str, child: str, moved, turned, stamp: int = 0) -> TransformStamped:
    """Return the pose of a frame in its parent: metres, and a quaternion x, y, z, w."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp.sec = parent, stamp
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = map(float, moved)
    turn.x, turn.y, turn.z, turn.w = map(float, turned)
    return message


def change_state(robot: Robot, transition: int) -> bool:
    """Request a lifecycle transition; return whether it succeeded."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return robot.peer.call(ChangeState, robot.topic("change_state"), request).success


def set_parameter(robot: Robot, name: str, value: str | float | bool | list[str]):
    """Set a parameter; return the node's result."""
    fields = {
        str: ("string_value", ParameterType.PARAMETER_STRING),
        int: ("integer_value", ParameterType.PARAMETER_INTEGER),
        float: ("double_value", ParameterType.PARAMETER_DOUBLE),
        bool: ("bool_value", ParameterType.PARAMETER_BOOL),
        list: ("string_array_value", ParameterType.PARAMETER_STRING_ARRAY),
    }
    field, kind = fields[type(value)]
    parameter = Parameter(name=name, value=ParameterValue(**{"type": kind, field: value}))
    request = SetParameters.Request(parameters=[parameter])
    return robot.peer.call(SetParameters, robot.topic("set_parameters"), request).results[0]
