# SPDX-License-Identifier: Apache-2.0
"""The segmenter's parameters: declared with descriptions and ranges, refused when out of range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends import BACKENDS


@dataclass(frozen=True)
class Spec:
    """One parameter. ``live``: it takes effect while the node is active; others at the next configure."""

    default: Any
    description: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    live: bool = False


PARAMETERS: dict[str, Spec] = {
    "model": Spec("lite_sam", "Bundle: a name ('evitsam models' lists them) or a folder."),
    "backend": Spec("auto", "Runtime.", ("auto", *BACKENDS)),
    "build_engines": Spec(
        False, "On a GPU without engines: build them in the background, and switch when they are ready."
    ),
    "threads": Spec(0, "CPU threads for a network; 0: as many as cores.", low=0, high=256),
    "mode": Spec("prompt", "Segment what is prompted, or everything.", ("prompt", "everything"), live=True),
    "top_n": Spec(64, "Prompts to decode in everything mode, at most.", low=1, high=1024, live=True),
    "latency_budget_ms": Spec(
        0.0,
        "Everything mode decodes as many prompts as fit into this time, the best first; 0: top_n, always.",
        low=0.0,
        high=60000.0,
        live=True,
    ),
    "score_threshold": Spec(
        -1.0, "Least predicted IoU in everything mode; -1: the bundle's.", low=-1.0, high=1.0, live=True
    ),
    "stability_threshold": Spec(
        -1.0, "Least stability score in everything mode; -1: the bundle's.", low=-1.0, high=1.0, live=True
    ),
    "nms_threshold": Spec(
        -1.0,
        "Largest box IoU of two masks in everything mode; -1: the bundle's.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "track": Spec(
        True,
        "Objects keep their ids while camera and objects move, and prompts follow their objects; off: every "
        "frame by itself, prompts stay at their pixels.",
        live=True,
    ),
    "depth": Spec(False, "Subscribe depth and camera_info; publish ~/points and ~/boxes_3d."),
    "depth_slop_s": Spec(
        0.05, "Largest difference of the stamps of an image and its depth, seconds.", low=0.0, high=10.0
    ),
    "image_rectified": Spec(False, "The image is rectified: camera_info's p describes it, not k and d."),
    "organised_points": Spec(False, "~/points has a point for every pixel; else only those under masks."),
    "image_transport": Spec("raw", "Subscribe image, or image/compressed.", ("raw", "compressed")),
    "reliability": Spec("best_effort", "QoS of the image subscription.", ("best_effort", "reliable")),
    "frame_policy": Spec(
        "latest",
        "latest: take the newest frame at once; next: wait for the next one, lower latency at high load.",
        ("latest", "next"),
    ),
    "max_rate_hz": Spec(
        0.0, "Answer at most so many frames a second; 0: all that come.", low=0.0, high=1000.0, live=True
    ),
    "overlay_alpha": Spec(0.5, "Opacity of the overlay.", low=0.0, high=1.0, live=True),
    "diagnostics_period_s": Spec(1.0, "Seconds between diagnostics.", low=0.1, high=60.0),
    "malloc_tuning": Spec(True, "Keep image-sized blocks in the heap (glibc): less time for every message."),
    "autostart": Spec(True, "Configure and activate at start, without a lifecycle manager."),
}


def declare_parameters(node: Node) -> None:
    """Declare all parameters and refuse values outside their ranges from then on."""
    for name, spec in PARAMETERS.items():
        descriptor = ParameterDescriptor(description=spec.description)
        if spec.choices:
            descriptor.additional_constraints = f"one of: {', '.join(spec.choices)}"
        elif spec.low is not None and isinstance(spec.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=0)
            ]
        elif spec.low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=spec.low, to_value=spec.high, step=0.0)
            ]
        node.declare_parameter(name, spec.default, descriptor)
        _check_start_value(node, name, spec)
    node.add_on_set_parameters_callback(_check)


def _check_start_value(node: Node, name: str, spec: Spec) -> None:
    value = node.get_parameter(name).value
    if spec.choices and value not in spec.choices:
        raise ValueError(f"parameter {name} is {value!r}; expected one of {', '.join(spec.choices)}")


def _check(parameters: list[Parameter]) -> SetParametersResult:
    for parameter in parameters:
        spec = PARAMETERS.get(parameter.name)
        if spec is not None and spec.choices and parameter.value not in spec.choices:
            reason = f"{parameter.name} is {parameter.value!r}; expected one of {', '.join(spec.choices)}"
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)


def values(node: Node) -> dict[str, Any]:
    """All parameters by name."""
    return {name: node.get_parameter(name).value for name in PARAMETERS}
