# SPDX-License-Identifier: Apache-2.0
"""Seconds by stage, as every answer carries them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Seconds by stage; the stages are in the order of the work.
Timings = Mapping[str, float]


class StageTimer:
    """Add up the seconds of the stages of one call.

    Attributes:
        seconds: by stage.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def add_timings(*parts: Timings) -> dict[str, float]:
    """Add up timings stage by stage; stages are in the order of their first occurrence."""
    total: dict[str, float] = {}
    for part in parts:
        for stage, seconds in part.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total
