# SPDX-License-Identifier: Apache-2.0
"""The values of the segmenter's parameters, checked and decoded: one frozen dataclass for each change."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from .parameter_specs import PARAMETERS, RENAMED, RENAMED_VALUES

#: A camera's name is part of topic names.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SegmenterParameters:
    """The parameters, decoded: seconds, bytes, and None where a ROS value means "not set".

    Attributes are named as the ROS parameters, except these:
        cameras: names; one empty name for a single camera.
        latency_budget_s: from ``latency_budget_ms``; None for no limit.
        score_threshold, stability_threshold, nms_threshold, min_region: None for the bundle's own.
        use_nearest_image: from ``missing_image_policy``.
        history_bytes: from ``history_mb``.
        max_latency_s, max_rate_hz, output_timeout_s: None for no limit.
        intensity_range: black and white; None for the percentiles of each image.
    """

    model: str
    semantic_model: str
    backend: str
    precision: str
    build_engines: bool
    threads: int
    cameras: tuple[str, ...]
    mode: str
    max_prompts: int
    min_prompts: int
    latency_budget_s: float | None
    closer_looks: int
    score_threshold: float | None
    stability_threshold: float | None
    nms_threshold: float | None
    min_region: float | None
    enable_tracking: bool
    use_nearest_image: bool
    history_frames: int
    history_bytes: float
    history_s: float
    enable_3d_clicks: bool
    max_latency_s: float | None
    enable_depth: bool
    depth_transport: str
    depth_slop_s: float
    image_rectified: bool
    organized_cloud: bool
    target_frame: str
    output_scale: str
    label_encoding: str
    image_transport: str
    intensity_range: tuple[float, float] | None
    reliability: str
    frame_policy: str
    max_rate_hz: float | None
    overlay_alpha: float
    overlay_ids: bool
    filled_boxes: bool
    jpeg_quality: int
    output_timeout_s: float | None
    diagnostics_period_s: float
    malloc_tuning: bool
    autostart: bool

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> SegmenterParameters:
        """Decode the values of ROS parameters.

        Args:
            values: of all parameters, by name.

        Raises:
            ValueError: a value is not among the choices, or two values contradict each other.
        """
        _check(values)
        decoded = dict(values)
        black, white = decoded.pop("intensity_range")
        for name in ("score_threshold", "stability_threshold", "nms_threshold", "min_region"):
            decoded[name] = values[name] if values[name] >= 0 else None
        return cls(
            **{name: decoded.pop(name) for name in _AS_THEY_ARE},
            cameras=tuple(name for name in decoded["cameras"] if name) or ("",),
            latency_budget_s=decoded["latency_budget_ms"] / 1e3 or None,
            use_nearest_image=decoded["missing_image_policy"] == "nearest",
            history_bytes=decoded["history_mb"] * 1e6,
            max_latency_s=decoded["max_latency_s"] or None,
            intensity_range=(black, white) if black or white else None,
            max_rate_hz=decoded["max_rate_hz"] or None,
            output_timeout_s=decoded["output_timeout_s"] or None,
        )

    @property
    def job(self) -> str:
        """Return what is answered, for empty outputs."""
        return f"the mode is {self.mode}"

    def thresholds(self) -> dict[str, float | None]:
        """Return the thresholds of everything mode; None for the bundle's own."""
        return {
            "pred_iou_thresh": self.score_threshold,
            "stability_score_thresh": self.stability_threshold,
            "box_nms_thresh": self.nms_threshold,
            "min_region": self.min_region,
        }


#: Fields that are ROS parameters of the same name and meaning; thresholds are decoded before.
_AS_THEY_ARE = (
    *("model", "semantic_model", "backend", "precision", "build_engines", "threads", "mode"),
    *("max_prompts", "min_prompts", "enable_tracking", "overlay_ids", "filled_boxes", "jpeg_quality"),
    *("score_threshold", "stability_threshold", "nms_threshold", "min_region", "closer_looks"),
    *("history_frames", "history_s", "depth_transport", "depth_slop_s", "image_rectified"),
    *("image_transport", "reliability", "frame_policy", "overlay_alpha", "diagnostics_period_s"),
    *("target_frame", "output_scale", "label_encoding"),
    *("enable_3d_clicks", "enable_depth", "organized_cloud", "malloc_tuning", "autostart"),
)


class NodeParameters:
    """Declare the parameters of a node, reject unusable values, and hold the current ones.

    Deprecated names are accepted at start and, from ROS 2 Iron on, at run time; each warns once.

    Args:
        node: owner of the parameters.

    Attributes:
        current: replaced as a whole when a parameter changes.

    Raises:
        ValueError: a value given at start cannot be used.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._warned: set[str] = set()
        given = self._given_by_old_names()
        for name, spec in PARAMETERS.items():
            node.declare_parameter(name, given.get(name, spec.default), spec.descriptor())
        try:
            self.current = SegmenterParameters.from_values(self._values())
        except ValueError as error:
            raise ValueError(f"parameter {error}") from error
        node.add_on_set_parameters_callback(self._validate)
        if _HAS_ALL_CALLBACKS:
            node.add_pre_set_parameters_callback(self._rename)
            node.add_post_set_parameters_callback(self._on_changed)

    def _given_by_old_names(self) -> dict[str, Any]:
        """Return the values that were given at start by deprecated names, by the new ones.

        A deprecated name is declared only to read it.

        Raises:
            ValueError: a value has another type than the parameter.
        """
        given: dict[str, Any] = {}
        for old in RENAMED:
            self._node.declare_parameter(old, None, ParameterDescriptor(dynamic_typing=True))
            value = self._node.get_parameter(old).value
            self._node.undeclare_parameter(old)
            if value is None:
                continue
            expected = type(PARAMETERS[RENAMED[old]].default)
            if type(value) is not expected:
                raise ValueError(f"parameter {old} is {value!r}; expected {expected.__name__}")
            given[RENAMED[old]] = self._current_value(old, value)
        return given

    def _rename(self, changed: list[Parameter]) -> list[Parameter]:
        return [
            Parameter(RENAMED[p.name], value=self._current_value(p.name, p.value)) if p.name in RENAMED else p
            for p in changed
        ]

    def _current_value(self, old: str, value: Any) -> Any:
        """Translate a value given by a deprecated name, and warn once of the name."""
        if old not in self._warned:
            self._warned.add(old)
            self._node.get_logger().warning(f"the parameter {old} is deprecated; use {RENAMED[old]}")
        return RENAMED_VALUES.get(old, {}).get(value, value)

    def _validate(self, changed: list[Parameter]) -> SetParametersResult:
        values = self._values() | {p.name: p.value for p in changed if p.name in PARAMETERS}
        try:
            decoded = SegmenterParameters.from_values(values)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if not _HAS_ALL_CALLBACKS:
            self.current = decoded
        return SetParametersResult(successful=True)

    def _on_changed(self, changed: list[Parameter]) -> None:
        if any(parameter.name in PARAMETERS for parameter in changed):
            self.current = SegmenterParameters.from_values(self._values())

    def _values(self) -> dict[str, Any]:
        return {name: self._node.get_parameter(name).value for name in PARAMETERS}


#: ROS 2 Humble has only the callback that validates a change, right before it takes effect.
_HAS_ALL_CALLBACKS = hasattr(Node, "add_post_set_parameters_callback")


def _check(values: Mapping[str, Any]) -> None:
    """Raise ValueError if the values cannot be used together."""
    for name, value in values.items():
        choices = PARAMETERS[name].choices
        if choices and value not in choices:
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
        if isinstance(value, float) and not math.isfinite(value):  # NaN passes rclpy's check of the range
            raise ValueError(f"{name} is {value}; expected a finite number")
    names = [name for name in values["cameras"] if name]
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"cameras has {name!r}; expected letters, digits and _, a letter first")
    if len(set(names)) < len(names):
        raise ValueError(f"cameras is {names}; expected different names")
    if values["organized_cloud"] and not values["enable_depth"]:
        raise ValueError("organized_cloud is true; expected enable_depth to be true with it")
    if values["target_frame"] and not values["enable_depth"]:
        raise ValueError(
            f"target_frame is {values['target_frame']!r}; expected enable_depth to be true with it"
        )
    limits = list(values["intensity_range"])
    if len(limits) != 2 or not all(map(math.isfinite, limits)) or (any(limits) and limits[0] >= limits[1]):
        raise ValueError(
            f"intensity_range is {limits}; expected [black, white] with black < white, or [0.0, 0.0]"
        )
