# SPDX-License-Identifier: Apache-2.0
"""The semantic node's parameters: declared with descriptions, rejected when out of range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node

from ..dense import ClassTable
from .qos import RELIABILITY

#: Default and description; the second half can be set while the node runs.
FIXED = {
    "model": ("efficientvit_seg_b0_camvid", "Semantic bundle: a name or a folder."),
    "backend": ("auto", "Runtime: auto, onnxruntime, openvino or torch."),
    "threads": (0, "CPU threads; 0: as many as cores."),
    "image_transport": ("raw", "Subscribe image, or image/compressed."),
    "reliability": ("best_effort", "QoS of the image subscription."),
    "diagnostics_period_s": (1.0, "Seconds between diagnostics."),
}
LIVE = {
    "classes": ([""], "Names of the classes to publish, pixels of others are void; none: all."),
    "score_threshold": (0.0, "Pixels of less confidence are void."),
    "resolution": ("image", "Of the outputs: the image's, or the network's, an eighth of its input."),
    "overlay_alpha": (0.5, "Opacity of the overlay."),
    "max_rate_hz": (0.0, "Answer at most so many frames a second; 0: all that come."),
}
CHOICES = {
    "image_transport": ("raw", "compressed"),
    "reliability": tuple(RELIABILITY),
    "resolution": ("image", "network"),
}
#: Parameter -> (min, max).
RANGES = {
    "threads": (0, 256),
    "diagnostics_period_s": (0.1, 60.0),
    "score_threshold": (0.0, 1.0),
    "overlay_alpha": (0.0, 1.0),
    "max_rate_hz": (0.0, 1000.0),
}


def declare_parameters(node: Node) -> dict[str, Any]:
    """Declare all parameters, reject values out of range from then on, and return the values at start.

    Raises:
        ValueError: a value given at start cannot be used.
    """
    for name, (default, description) in (FIXED | LIVE).items():
        descriptor = ParameterDescriptor(description=description, read_only=name in FIXED)
        node.declare_parameter(name, default, descriptor)
    options = {name: node.get_parameter(name).value for name in FIXED | LIVE}
    if reason := wrong(options):
        raise ValueError(f"parameter {reason}")

    def check(changed: list) -> SetParametersResult:
        reason = wrong({parameter.name: parameter.value for parameter in changed})
        return SetParametersResult(successful=not reason, reason=reason)

    node.add_on_set_parameters_callback(check)
    return options


def check_classes(node: Node, classes: ClassTable) -> None:
    """Reject names of classes that a bundle does not have, now and from now on.

    Raises:
        ValueError: a name given at start is unknown.
    """
    class_names(node.get_parameter("classes").value, classes)

    def check(changed: list) -> SetParametersResult:
        try:
            for parameter in changed:
                if parameter.name == "classes":
                    class_names(parameter.value, classes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)


def wrong(options: dict[str, Any]) -> str:
    """Describe the first value that cannot be used; empty when there is none."""
    for name, value in options.items():
        if name in CHOICES and value not in CHOICES[name]:
            return f"{name} is {value!r}; expected {', '.join(CHOICES[name])}"
        if name in RANGES:
            low, high = RANGES[name]
            if not low <= value <= high:  # NaN is outside too
                return f"{name} is {value}; expected {low} to {high}"
    return ""


def class_names(names: Sequence[str], classes: ClassTable) -> list[str] | None:
    """Return the classes to publish; None: all.

    Raises:
        ValueError: a name is unknown.
    """
    wanted = [name for name in names if name]
    unknown = [name for name in wanted if name not in classes.names]
    if unknown:
        raise ValueError(f"parameter classes has {unknown[0]!r}; expected some of {', '.join(classes.names)}")
    return wanted or None
