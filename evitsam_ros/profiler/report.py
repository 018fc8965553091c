# SPDX-License-Identifier: Apache-2.0
"""A report as data: what was measured, on what, by which command. :mod:`.schema` writes and reads it.

A report of ``evitsam profile`` has stages and runs; one of a benchmark has parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .measurements import Figure, Part, Ratio
from .spans import HOST
from .statistics import ENOUGH_RUNS, summary

#: What is printed in place of what a machine does not tell.
NOT_TOLD = "not told by this machine"
#: Milliseconds in a unit of time.
MS_IN = {"ms": 1.0, "s": 1e3}


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
    """A profile, a benchmark, or both.

    Attributes:
        command: repeats it.
        date: UTC, ISO 8601.
        made_by: versions, commit, environment.
        machine: what the machine says of itself; None where it does not.
        watched: power, clocks, heat, throttling, other work during the runs.
        settings: runs, warm-up, sizes, prompts, pictures; whether it was the quick benchmark.
        model: the bundle, and how each network ran.
        stages: the parts of a frame in order, the whole frame, the decoder for numbers of boxes, the device.
        ceilings: of the machine.
        throughput: of the encoder by batch.
        memory: resident MiB at points of the profile.
        runs: in order.
        parts: figures and ratios by the name of the part that measured them.
        failed: why a part has no figures, by its name.
    """

    command: str
    date: str
    made_by: dict[str, Any]
    machine: dict[str, Any]
    watched: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    ceilings: list[Ceiling] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    memory: dict[str, float | None] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> list[int]:
        """The number of the picture of each run."""
        return [run.picture for run in self.runs]

    def figures(self, stage: Stage) -> dict[str, float]:
        """Percentiles, max, mean and jitter of a stage in milliseconds."""
        return summary(stage.samples_ms, self.pictures)

    def stage(self, key: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.key == key), None)

    def figure(self, key: str) -> Figure | None:
        return next((figure for figure in self.all_figures if figure.key == key), None)

    def ratio(self, key: str) -> Ratio | None:
        return next((ratio for ratio in self.all_ratios if ratio.key == key), None)

    @property
    def all_figures(self) -> list[Figure]:
        return [figure for part in self.parts.values() for figure in part.figures]

    @property
    def all_ratios(self) -> list[Ratio]:
        return [ratio for part in self.parts.values() for ratio in part.ratios]

    @property
    def notes(self) -> list[str]:
        return [note for part in self.parts.values() for note in part.notes]

    @property
    def times_ms(self) -> dict[str, list[float]]:
        """All samples that are times, in milliseconds, by the key of their stage or figure."""
        times = {stage.key: stage.samples_ms for stage in self.stages}
        for figure in self.all_figures:
            if figure.unit in MS_IN:
                times[figure.key] = [MS_IN[figure.unit] * value for value in figure.samples]
        return times

    @property
    def warnings(self) -> list[str]:
        """Why not to believe it, in sentences; empty for a sound profile."""
        found = []
        if self.settings.get("quick"):
            found.append("This was the quick benchmark; its figures are coarse.")
        if self.stages and len(self.runs) < ENOUGH_RUNS:
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
