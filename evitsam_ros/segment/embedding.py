# SPDX-License-Identifier: Apache-2.0
"""An encoded frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..backends import Encoded
from .transform import Transform


@dataclass(frozen=True)
class Embedding:
    """The encoder's output for one frame; any number of prompts can be decoded on it.

    Attributes:
        data: the encoder's arrays, on the runtime's own device.
        transform: geometry of the frame.
        stamp: time of the frame in seconds, or None.
        frame_id: the camera's coordinate frame.
        timings: seconds by stage of the call that made it; its share where it was made with others.
    """

    data: Encoded
    transform: Transform
    stamp: float | None = None
    frame_id: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
