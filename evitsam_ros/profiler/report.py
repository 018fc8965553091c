# SPDX-License-Identifier: Apache-2.0
"""A profile as data: what was measured, on what, by which command. :mod:`.schema` writes and reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .figures import ENOUGH_RUNS, summary
from .spans import HOST

#: What is printed in place of what a machine does not tell.
NOT_TOLD = "not told by this machine"


@dataclass(frozen=True)
class Stage:
    """A stage's timings.

    Attributes:
        name: as ``encoder``.
        clock: ``host``, or ``device`` for CUDA events.
        samples_ms: a value for each run.
        macs, bytes: what has to be done at least, or None where it is not counted.
        floor_ms: what that takes at the ceilings of the machine, or None.
    """

    name: str
    clock: str
    samples_ms: list[float]
    macs: float | None = None
    bytes: float | None = None
    floor_ms: float | None = None

    @property
    def key(self) -> str:
        """Name and clock, as one may print them."""
        return self.name if self.clock == HOST else f"{self.name} ({self.clock})"

    @property
    def p50(self) -> float:
        return median(self.samples_ms)

    @property
    def of_floor(self) -> float | None:
        """The floor as a share of the median."""
        return self.floor_ms / self.p50 if self.floor_ms is not None and self.p50 > 0 else None


@dataclass(frozen=True)
class Ceiling:
    """``unit`` and ``samples`` of what the machine can do at most, taken in turns with the runs."""

    name: str
    unit: str
    how: str
    samples: list[float]


@dataclass(frozen=True)
class Throughput:
    """Images a second of an encoder call of ``batch`` images; ``problem``: why there is none."""

    batch: int
    images_per_s: float | None
    calls: int
    problem: str = ""


@dataclass(frozen=True)
class Run:
    """When a run began, in milliseconds since the first, and the number of its picture."""

    start_ms: float
    picture: int


@dataclass(frozen=True)
class Report:
    """A profile.

    Attributes:
        command: repeats it.
        date: UTC, ISO 8601.
        made_by: versions, commit, environment.
        machine: what the machine says of itself; None where it does not.
        model: the bundle, and how each network ran.
        settings: runs, warm-up, sizes, prompts, pictures.
        stages: the parts of a frame in order, the whole frame, the decoder for numbers of boxes, the device.
        ceilings: of the machine.
        throughput: of the encoder by batch.
        memory: resident MiB at points of the profile.
        watched: power, clocks, heat, throttling, other work during the runs.
        runs: in order.
    """

    command: str
    date: str
    made_by: dict[str, Any]
    machine: dict[str, Any]
    model: dict[str, Any]
    settings: dict[str, Any]
    stages: list[Stage]
    ceilings: list[Ceiling]
    throughput: list[Throughput] = field(default_factory=list)
    memory: dict[str, float | None] = field(default_factory=dict)
    watched: dict[str, Any] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    @property
    def pictures(self) -> list[int]:
        """The number of the picture of each run."""
        return [run.picture for run in self.runs]

    def figures(self, stage: Stage) -> dict[str, float]:
        """Percentiles, max, mean and jitter of a stage in milliseconds."""
        return summary(stage.samples_ms, self.pictures)

    def stage(self, key: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.key == key), None)

    @property
    def warnings(self) -> list[str]:
        """Why not to believe it, in sentences; empty for a sound profile."""
        found = []
        if len(self.runs) < ENOUGH_RUNS:
            found.append(
                f"{len(self.runs)} runs are too few: expected at least {ENOUGH_RUNS}; percentiles of the "
                "tail say nothing."
            )
        for name, limit in (("other work on the CPUs, %", 5), ("stolen by the hypervisor, %", 1)):
            share = self.watched.get(name)
            if share is not None and share > limit:
                found.append(
                    f"The machine was not quiet: {name.removesuffix(', %')} took {share:.0f} % of them."
                )
        if self.watched.get("CPU throttling, events") or self.watched.get("GPU throttling") not in (
            None,
            "none",
        ):
            found.append("The machine was throttled while it was measured.")
        if uncounted := self.settings.get("uncounted"):
            found.append(f"The floors leave out the multiply-adds of {', '.join(uncounted)}.")
        return found
