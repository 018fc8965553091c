# SPDX-License-Identifier: Apache-2.0
"""A camera's pipeline without DDS: the test passes messages to it, and reads what it publishes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from evitsam_ros.nodes.camera_context import CameraContext
from evitsam_ros.nodes.camera_pipeline import CameraPipeline
from evitsam_ros.nodes.diagnostics import CameraDiagnostics
from evitsam_ros.nodes.frame_request import FrameRequest, RequestQueue
from evitsam_ros.nodes.frame_scheduler import FrameScheduler
from evitsam_ros.nodes.parameter_specs import PARAMETERS
from evitsam_ros.nodes.parameters import SegmenterParameters
from evitsam_ros.nodes.prompt_messages import MAX_OBJECTS
from evitsam_ros.nodes.prompt_store import PromptStore
from evitsam_ros.segment import Segmenter


class Output:
    """A publisher with a subscriber; it keeps the last messages."""

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
        """Keep nothing: nothing is destroyed."""

    def service(self, kind: type, name: str, callback: Callable) -> None:
        self.inputs[name] = callback

    def deferred_service(self, kind: type, name: str, callback: Callable) -> None:
        self.inputs[name] = callback


class OfflinePipeline:
    """A pipeline with the known bundle.

    Attributes:
        pipeline: what is tested.
        prompts: its prompts.
        counts: its counters.
        segmenter: its networks.
        outputs: its publishers, by topic.
    """

    def __init__(self, bundle: Path, **values: Any) -> None:
        self._values = {name: spec.default for name, spec in PARAMETERS.items()} | values
        self._parameters = SegmenterParameters.from_values(self._values)
        self._now = SimpleNamespace(nanoseconds=time.time_ns())
        self.diagnostics, self.prompts = CameraDiagnostics(), PromptStore(MAX_OBJECTS)
        self.counts = self.diagnostics.counts
        self._context = CameraContext(
            "",
            self.diagnostics,
            self.prompts,
            parameters=lambda: self._parameters,
            is_accepting=lambda: True,
            report_error=self.diagnostics.error,
            warn=lambda text: None,
            now_ns=lambda: self._now.nanoseconds,
        )
        self.segmenter = Segmenter.open(bundle, "onnxruntime", 1)
        self.configure()

    def configure(self) -> None:
        """Build the pipeline as the node does at every configuration."""
        clock = SimpleNamespace(now=lambda: self._now, create_jump_callback=lambda *_, **__: None)
        node = SimpleNamespace(get_clock=lambda: clock, resolve_topic_name=lambda name: f"/{name}")
        self.scheduler: FrameScheduler[FrameRequest] = FrameScheduler()
        entities, requests = OfflineEntities(), RequestQueue(self.scheduler, 0)
        self.pipeline = CameraPipeline(
            node, self._context, entities, self.segmenter, requests, self._parameters
        )
        self.outputs, self._inputs = entities.outputs, entities.inputs

    def set_parameter(self, name: str, value: Any) -> None:
        """Change a parameter as the node does."""
        self._values[name] = value
        self._parameters = SegmenterParameters.from_values(self._values)

    def give(self, topic: str, message: Any) -> dict[str, int]:
        """Pass a message to its callback; return how the counters changed."""
        before = dict(self.counts)
        self._inputs[topic](message)
        return {name: n - before.get(name, 0) for name, n in self.counts.items() if n != before.get(name, 0)}

    def work(self) -> list[Any]:
        """Process the frames that wait; return their messages."""
        done = []
        while (turn := self.scheduler.take(0)) is not None:
            done.append(turn[1].message)
            self.pipeline.process(turn[1])
        return done
