# SPDX-License-Identifier: Apache-2.0
"""List the project's goals for two CPU cores without a GPU, and show a run beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evitsam_ros.models.specs import SPECS
from evitsam_ros.profiler import table
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Ratio

if TYPE_CHECKING:
    from evitsam_ros.profiler.report import Report


@dataclass(frozen=True)
class Goal:
    """A limit of a figure or a ratio.

    Attributes:
        key: of the figure or the ratio.
        title: for people.
        limit: in the unit of the figure.
        better: ``less`` or ``more``.
        unit: shown after the value.
        per_cent: whether the value is shown in per cent.
    """

    key: str
    title: str
    limit: float
    better: str
    unit: str = ""
    per_cent: bool = False

    def met(self, value: float) -> bool:
        """Return whether a value meets the goal."""
        return value <= self.limit if self.better == LESS else value >= self.limit

    def show(self, value: float) -> str:
        """Return a value as text, with its unit."""
        digits = f"{value:.3g}" if value < 1000 else f"{value:.0f}"
        return f"{100 * value:.3g} %" if self.per_cent else f"{digits}{self.unit and ' '}{self.unit}"

    @property
    def limit_text(self) -> str:
        """Return the limit as text."""
        return f"at {'most' if self.better == LESS else 'least'} {self.show(self.limit)}"


AUTO = "AutoPPN, 256 prompts"
#: How many times as fast as the reference an official model is; and the models of which more is asked.
FAMILY_SPEED, FAMILY_SPEEDS = 2.0, {"mobile_sam": 2.5}
GOALS = (
    Goal(
        f"everything/grid 32x32, as segment-anything: {AUTO}", f"{AUTO}: times as fast as a grid", 25.0, MORE
    ),
    Goal(f"everything/grid 32x32, ours: {AUTO}", f"{AUTO}: times as fast as our grid", 8.0, MORE),
    Goal("everything/AutoPPN, 64 prompts", "everything mode with 64 prompts", 1000.0, LESS, "ms"),
    Goal(
        "everything/image -> box mask: floor", "image to a box's mask, times the encoder's product", 1.3, LESS
    ),
    Goal("everything/click on an embedded frame", "a click on an embedded frame", 20.0, LESS, "ms"),
    Goal("l0/box: speed", "L0, image to mask: times as fast as the reference", 2.0, MORE),
    Goal("l0/encoder: of product", "L0's encoder, share of a product's speed", 0.85, MORE, per_cent=True),
    *(
        Goal(
            f"family/{spec.name}/box: speed",
            f"{spec.name}, image to mask: times as fast as the reference",
            FAMILY_SPEEDS.get(spec.name, FAMILY_SPEED),
            MORE,
        )
        for spec in SPECS.values()
        if spec.is_official
    ),
    Goal("default/box: lite_sam fp32", "default model beside lite_sam in float32, a box's mask", 0.30, LESS),
    Goal(
        "default/everything: lite_sam fp32",
        "default model beside lite_sam in float32, everything",
        0.40,
        LESS,
    ),
    Goal("default/box: l0 eager", "L0 with the backends chosen: times as fast as eager", 3.0, MORE),
    Goal(
        "default/box: mobile_sam eager",
        "default model: times as fast as MobileSAM, eager, one thread",
        20.0,
        MORE,
    ),
    Goal("semantic/1024x512: speed", "semantic B0, 1024x512: times as fast as eager PyTorch", 2.0, MORE),
    Goal("semantic/2048x1024: speed", "semantic B0, 2048x1024: times as fast as eager PyTorch", 2.0, MORE),
    Goal("ros/720p/raw/two: cost", "ROS, 720p, raw, two processes, minus inference", 5.0, LESS, "ms"),
    Goal(
        "ros/720p/raw/two/network: above lower bound",
        "ROS, 720p, raw, two processes, output_scale: network, minus inference and a node that does nothing",
        0.5,
        LESS,
        "ms",
    ),
    Goal("start/first mask", "start to the first mask", 3.0, LESS, "s"),
    Goal("start/memory", "resident memory after 20 frames", 500.0, LESS, "MB"),
    Goal("start/torch", "torch's libraries in the robot's process", 0.0, LESS),
    Goal("fleet/two workers: plain loop", "two workers beside a plain loop, after the start", 0.97, MORE),
    Goal("fleet/start", "start of two workers to the first rows", 15.0, LESS, "s"),
    Goal("fleet/memory: many inputs", "driver's memory, 100,000 inputs beside 1,000", 1.5, LESS),
    Goal("fleet/nodes: linear", "32 pretended nodes beside 32 times one", 0.90, MORE),
    Goal("fleet/churn: kept", "units that came once, with nodes lost and added", 1.0, MORE),
    Goal("timers/share", "the segmenter's own timers, share of a frame", 0.005, LESS, per_cent=True),
)


@dataclass(frozen=True)
class Verdict:
    """A goal beside the measured value, which is None if it was not measured."""

    goal: Goal
    value: float | None

    @property
    def status(self) -> str:
        """Return ``met``, ``MISSED`` or ``not measured``."""
        if self.value is None:
            return "not measured"
        return "met" if self.goal.met(self.value) else "MISSED"

    @property
    def value_text(self) -> str:
        """Return the value as text; empty if it was not measured."""
        return "" if self.value is None else self.goal.show(self.value)


def verdicts(figures: list[Figure], ratios: list[Ratio]) -> list[Verdict]:
    """Return every goal with its measured value."""
    values = {entry.key: entry.value for entry in (*figures, *ratios)}
    return [Verdict(goal, values.get(goal.key)) for goal in GOALS]


def render(report: Report) -> str:
    """Return a report as text for a terminal, with the goals."""
    rows = [["goal", "", "found", ""]]
    for verdict in verdicts(report.all_figures, report.all_ratios):
        rows.append([verdict.goal.title, verdict.goal.limit_text, verdict.value_text, verdict.status])
    return table.render(report, ["", *table.aligned(rows), ""])
