# SPDX-License-Identifier: Apache-2.0
"""Request masks from a running segmenter in Python; ``evitsam ask`` is the command.

The client has a ROS context of its own, so that it works in any program, also beside other nodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from ..segment import Prompt
from .interfaces import HAS_INTERFACES
from .messages import image_message

#: Seconds to look for the service, and to wait beyond the time limit for the reply.
DISCOVERY, SLACK = 10.0, 5.0


class RequestFailedError(ValueError):
    """A request got no masks; the message has the reason and the remedy."""


@dataclass(frozen=True, eq=False)
class Answered:
    """One object of an answer.

    Attributes:
        identity: number of its prompt, from 1.
        class_name: "object" if none was given.
        score: predicted IoU.
        box: ``(4,)`` float64 x0, y0, x1, y1 pixels.
        mask: ``(H, W)`` bool, at the size of the image.
    """

    identity: int
    class_name: str
    score: float
    box: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """The masks of one image.

    Attributes:
        objects: one for each mask.
        size: (H, W) of the image, pixels.
        stamp_ns: of the image, nanoseconds.
        frame_id: of the image.
    """

    objects: tuple[Answered, ...]
    size: tuple[int, int]
    stamp_ns: int
    frame_id: str

    @property
    def mask(self) -> np.ndarray:
        """Return ``(H, W)`` bool: inside any object."""
        masks = [item.mask for item in self.objects]
        return np.logical_or.reduce(masks) if masks else np.zeros(self.size, bool)


class SegmenterClient:
    """A connection to a segmenter; a context manager.

    Args:
        node: its fully qualified name.
        camera: name of one of its cameras; empty for the only one.
        domain_id: ROS domain; None: that of the environment.

    Raises:
        RequestFailedError: evitsam_interfaces is not installed, or there is no such service.
    """

    def __init__(self, node: str = "/segmenter", camera: str = "", domain_id: int | None = None) -> None:
        if not HAS_INTERFACES:
            raise RequestFailedError(
                "evitsam_interfaces is not installed; build interfaces/evitsam_interfaces with colcon"
            )
        from evitsam_interfaces.srv import Segment

        self._kind = Segment
        self.service = "/".join([node.rstrip("/"), *([camera] if camera else []), "segment"])
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("evitsam_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._client = self._node.create_client(Segment, self.service)
        if not self._spin_until(self._client.service_is_ready, DISCOVERY):
            found = self._similar_services()
            self.close()
            raise RequestFailedError(
                f"there is no service {self.service}; expected a running segmenter with evitsam_interfaces "
                f"(services of this type: {', '.join(found) or 'none'})"
            )

    def __enter__(self) -> SegmenterClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def segment(
        self,
        prompts: Sequence[Prompt] = (),
        *,
        everything: bool = False,
        image: np.ndarray | None = None,
        stamp_ns: int = 0,
        max_prompts: int = 0,
        multimask: bool = False,
        timeout: float = 10.0,
    ) -> Answer:
        """Return the masks of one image.

        Args:
            prompts: one for each object, in pixels of the image; none for everything.
            everything: segment everything instead.
            image: ``(H, W, 3)`` uint8 RGB; None: an image of the camera.
            stamp_ns: stamp of the camera's image, nanoseconds; 0: the newest.
            max_prompts: largest number of prompts for everything; 0: the node's parameter.
            multimask: return the three masks of each prompt.
            timeout: largest time for the reply, seconds.

        Raises:
            RequestFailedError: the node rejects the request, or does not reply in time.
        """
        request = self._kind.Request(everything=everything, max_prompts=max_prompts, multimask=multimask)
        request.prompts = [_message(prompt) for prompt in prompts]
        request.timeout = float(timeout)
        request.stamp.sec, request.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        if image is not None:
            request.image = image_message(Header(), image, "rgb8")
        future = self._client.call_async(request)
        if not self._spin_until(future.done, timeout + SLACK):
            raise RequestFailedError(f"{self.service} did not reply within {timeout + SLACK:g} s")
        reply = future.result()
        if reply.status.code:
            raise RequestFailedError(f"{self.service}: {reply.status.message}")
        return _answer(reply.instances)

    def _spin_until(self, done: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return bool(done())

    def _similar_services(self) -> list[str]:
        kind = "evitsam_interfaces/srv/Segment"
        return [name for name, kinds in self._node.get_service_names_and_types() if kind in kinds]


def _message(prompt: Prompt) -> Any:
    from evitsam_interfaces.msg import ObjectPrompt

    return ObjectPrompt(
        points=prompt.points.astype(float).ravel().tolist(),
        labels=prompt.labels.astype(int).tolist(),
        box=[] if prompt.box is None else prompt.box.astype(float).tolist(),
    )


def _answer(message: Any) -> Answer:
    size, stamp = (message.height, message.width), message.header.stamp
    objects = tuple(
        Answered(item.id, item.class_name, item.score, np.array(item.box), _full(item, size))
        for item in message.instances
    )
    return Answer(objects, size, stamp.sec * 1_000_000_000 + stamp.nanosec, message.header.frame_id)


def _full(instance: Any, size: tuple[int, int]) -> np.ndarray:
    """Put a cropped mask into an image of (H, W) pixels."""
    roi, full = instance.roi, np.zeros(size, bool)
    if not roi.height or not roi.width:
        return full
    part = _pixels(instance.mask)
    full[roi.y_offset : roi.y_offset + roi.height, roi.x_offset : roi.x_offset + roi.width] = part > 0
    return full


def _pixels(image: Image) -> np.ndarray:
    rows = np.frombuffer(image.data, np.uint8).reshape(image.height, -1)
    return rows[:, : image.width]
