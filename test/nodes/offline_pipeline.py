# SPDX-License-Identifier: Apache-2.0
"""A camera's channel without DDS: messages are handed to it, and what it publishes is kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from evitsam_ros.nodes.camera_pipeline import CameraPipeline, FrameRequest
from evitsam_ros.nodes.frame_scheduler import FrameScheduler
from evitsam_ros.nodes.parameters import PARAMETERS
from evitsam_ros.segment import Segmenter


class Output:
    """A publisher that somebody listens to; its last messages."""

    def __init__(self) -> None:
        self.messages: deque[Any] = deque(maxlen=4)

    def get_subscription_count(self) -> int:
        return 1

    def publish(self, message: Any) -> None:
        self.messages.append(message)


class OfflineEntities:
    """In the place of ``ManagedEntities``."""

    def __init__(self) -> None:
        self.inputs: dict[str, Callable] = {}
        self.outputs: dict[str, Output] = {}

    def subscription(self, kind: type, topic: str, callback: Callable, qos: Any) -> None:
        self.inputs[topic] = callback

    def publisher(self, kind: type, topic: str, qos: Any) -> Output:
        return self.outputs.setdefault(topic, Output())

    def keep(self, destroy: Callable, entity: Any) -> None:
        """Nothing is taken away."""

    def service(self, kind: type, name: str, callback: Callable) -> None:
        self.inputs[name] = callback


class OfflinePipeline:
    """A channel with the known bundle.

    Attributes:
        counts: of its diagnostics.
        segmenter: what it runs on.
        outputs: by topic.
    """

    def __init__(self, bundle: Path, **options: Any) -> None:
        self.options = {name: spec.default for name, spec in PARAMETERS.items()} | options
        now = SimpleNamespace(nanoseconds=time.time_ns())
        node = SimpleNamespace(
            accepts=True,
            get_parameter=lambda name: SimpleNamespace(value=self.options[name]),
            get_clock=lambda: SimpleNamespace(now=lambda: now, create_jump_callback=lambda *_, **__: None),
            resolve_topic_name=lambda name: f"/{name}",
        )
        self.channel = CameraPipeline(node, "", lambda health, kind, text: health.error(kind, text))
        self.turns: FrameScheduler[FrameRequest] = FrameScheduler()
        wires = OfflineEntities()
        self.segmenter = Segmenter.open(bundle, "onnxruntime", 1)
        self.channel.configure(wires, self.segmenter, self.options, self.turns, 0)
        self.outputs, self._inputs = wires.outputs, wires.inputs
        self.counts = self.channel.health.counts

    def give(self, topic: str, message: Any) -> dict[str, int]:
        """Hand a message over; what it is counted as."""
        before = dict(self.counts)
        self._inputs[topic](message)
        return {name: n - before.get(name, 0) for name, n in self.counts.items() if n != before.get(name, 0)}

    def work(self) -> list[Any]:
        """Answer the frames that wait; their messages."""
        done = []
        while (turn := self.turns.take(0)) is not None:
            done.append(turn[1].message)
            self.channel.answer(turn[1])
        return done
