# SPDX-License-Identifier: Apache-2.0
"""The state of a camera from the start of the node to its end, whether or not the node is configured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .diagnostics import CameraDiagnostics
from .parameters import SegmenterParameters
from .prompt_store import PromptStore

#: Called with (kind, text) for an input that is rejected or a failure; ``kind`` is the name of its counter.
ReportError = Callable[[str, str], None]


@dataclass(frozen=True, eq=False)
class CameraContext:
    """Give a camera's pipeline access to the node.

    Attributes:
        name: of the camera; empty for the only one.
        diagnostics: counters and timings.
        prompts: stored and pending prompts; stored ones outlive a cleanup of the node.
        parameters: returns the current parameters of the node.
        is_accepting: returns whether the node is active and enabled.
        report_error: counts, logs and publishes an error of this camera.
        warn: logs a warning, throttled.
        now_ns: returns the time of the node's clock, nanoseconds.
    """

    name: str
    diagnostics: CameraDiagnostics
    prompts: PromptStore
    parameters: Callable[[], SegmenterParameters]
    is_accepting: Callable[[], bool]
    report_error: ReportError
    warn: Callable[[str], None]
    now_ns: Callable[[], int]

    @property
    def inputs(self) -> str:
        """Return the prefix of the camera's input topics: empty, or ``CAMERA/``."""
        return f"{self.name}/" if self.name else ""

    @property
    def outputs(self) -> str:
        """Return the prefix of its private topics and services: ``~/``, or ``~/CAMERA/``."""
        return f"~/{self.inputs}"
