# SPDX-License-Identifier: Apache-2.0
"""Define a report: the figures, the machine, and the command. :mod:`.schema` writes and reads it.

A report of ``evitsam profile`` has stages and runs; one of a benchmark has suites.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from .spans import HOST
from .statistics import ENOUGH_RUNS, summary

if TYPE_CHECKING:
    from .measurements import Figure, Ratio, Suite

#: Printed for values that a machine does not report.
NOT_REPORTED = "not reported by this machine"
#: Milliseconds in a unit of time.
MS_IN = {"ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Stage:
    """The timings of a stage.

    Attributes:
        name: as ``encoder``.
        clock: ``host``, or ``device`` for CUDA events.
        samples_ms: a value for each run.
        macs: necessary multiply-adds; None if not counted.
        bytes: necessary bytes; None if not counted.
        lower_bound_ms: their time at the peak rates of the machine, or None.
    """

    name: str
    clock: str
    samples_ms: list[float]
    macs: float | None = None
    bytes: float | None = None
    lower_bound_ms: float | None = None

    @property
    def key(self) -> str:
        """Return name and clock for display."""
        return self.name if self.clock == HOST else f"{self.name} ({self.clock})"

    @property
    def p50(self) -> float:
        """Return the median in milliseconds."""
        return median(self.samples_ms)

    @property
    def lower_bound_ratio(self) -> float | None:
        """Return the lower bound as a share of the median."""
        return self.lower_bound_ms / self.p50 if self.lower_bound_ms is not None and self.p50 > 0 else None


@dataclass(frozen=True)
class PeakRate:
    """A peak rate of the machine; ``samples`` in ``unit``, taken between the runs."""

    name: str
    unit: str
    how: str
    samples: list[float]


@dataclass(frozen=True)
class Throughput:
    """Images per second of an encoder call of ``batch`` images; ``problem`` is the reason for none."""

    batch: int
    images_per_s: float | None
    calls: int
    problem: str = ""


@dataclass(frozen=True)
class Run:
    """The start of a run in milliseconds since the first one, and the number of its image."""

    start_ms: float
    image: int


@dataclass(frozen=True)
class Report:
    """A profile, a benchmark, or both.

    Attributes:
        command: the command that repeats it.
        date: UTC, ISO 8601.
        made_by: versions, commit, environment.
        machine: facts of the machine; None for unknown ones.
        watched: power, clocks, heat, throttling, other work during the runs.
        settings: runs, warm-up, sizes, prompts, images; whether it was the quick benchmark.
        model: the bundle, and the runtime of each network.
        stages: the stages of a frame in order, the frame's total, the decoder for numbers of boxes, the
            device.
        peak_rates: of the machine.
        throughput: of the encoder by batch.
        memory: resident MiB at points of the profile.
        runs: in order.
        suites: figures and ratios by the name of their suite.
        failed: reason of a suite without figures, by its name.
    """

    command: str
    date: str
    made_by: dict[str, Any]
    machine: dict[str, Any]
    watched: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    peak_rates: list[PeakRate] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    memory: dict[str, float | None] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    suites: dict[str, Suite] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> list[int]:
        """Return the number of the image of each run."""
        return [run.image for run in self.runs]

    def figures(self, stage: Stage) -> dict[str, float]:
        """Return percentiles, max, mean and jitter of a stage in milliseconds."""
        return summary(stage.samples_ms, self.images)

    def stage(self, key: str) -> Stage | None:
        """Return a stage by its key, if the report has it."""
        return next((stage for stage in self.stages if stage.key == key), None)

    def figure(self, key: str) -> Figure | None:
        """Return a figure by its key, if the report has it."""
        return next((figure for figure in self.all_figures if figure.key == key), None)

    def ratio(self, key: str) -> Ratio | None:
        """Return a ratio by its key, if the report has it."""
        return next((ratio for ratio in self.all_ratios if ratio.key == key), None)

    @property
    def all_figures(self) -> list[Figure]:
        """Return the figures of all suites."""
        return [figure for suite in self.suites.values() for figure in suite.figures]

    @property
    def all_ratios(self) -> list[Ratio]:
        """Return the ratios of all suites."""
        return [ratio for suite in self.suites.values() for ratio in suite.ratios]

    @property
    def notes(self) -> list[str]:
        """Return the notes of all suites."""
        return [note for suite in self.suites.values() for note in suite.notes]

    @property
    def times_ms(self) -> dict[str, list[float]]:
        """Return all samples that are times, in milliseconds, by the key of their stage or figure."""
        times = {stage.key: stage.samples_ms for stage in self.stages}
        for figure in self.all_figures:
            if figure.unit in MS_IN:
                times[figure.key] = [MS_IN[figure.unit] * value for value in figure.samples]
        return times

    @property
    def warnings(self) -> list[str]:
        """Return reasons to doubt the report, in sentences; empty for a sound one."""
        found = []
        if self.settings.get("quick"):
            found.append("This is the quick benchmark; its figures are coarse.")
        if self.stages and len(self.runs) < ENOUGH_RUNS:
            found.append(
                f"{len(self.runs)} runs are too few: expected {ENOUGH_RUNS}; percentiles of the "
                "tail are not meaningful."
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
            found.append(f"The lower bounds omit the multiply-adds of {', '.join(uncounted)}.")
        return found
