# SPDX-License-Identifier: Apache-2.0
"""The semantic node's parameters: declared with descriptions, rejected when they cannot be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node

from ..bundle import DEFAULT_SEMANTIC
from ..dense import ClassTable
from .parameter_specs import PARAMETERS, Spec


def _at_start(name: str) -> Spec:
    """Return the segmenter's parameter of this name, which here is read at start only."""
    return replace(PARAMETERS[name], fixed=True, live=False)


SEMANTIC_PARAMETERS: dict[str, Spec] = {
    "model": Spec(DEFAULT_SEMANTIC, "Semantic bundle: a name or a folder.", fixed=True),
    "backend": _at_start("backend"),
    "precision": Spec(
        "auto",
        "Precision of the network. auto: on a CPU the fastest that was measured here to give the same "
        "label maps, float32 until then; on a GPU the engine's own.",
        PARAMETERS["precision"].choices,
        fixed=True,
    ),
    **{name: _at_start(name) for name in ("threads", "image_transport", "reliability")},
    "classes": Spec(
        [""], "Names of the classes to publish, pixels of others are void; none: all.", live=True
    ),
    "score_threshold": Spec(0.0, "Pixels of less confidence are void.", low=0.0, high=1.0, live=True),
    "confidence_class": Spec(
        "",
        "Name of the class that ~/confidence is about; empty: each pixel's own class.",
        live=True,
    ),
    "resolution": Spec(
        "image",
        "Of the outputs: the image's, or the network's, an eighth of its input.",
        ("image", "network"),
        live=True,
    ),
    "tiles": Spec(
        False,
        "Segment an image that is larger than the network's input in overlapping tiles of that size, at its "
        "own resolution; false: scaled to the input.",
        live=True,
    ),
    **{
        name: PARAMETERS[name]
        for name in ("overlay_alpha", "jpeg_quality", "max_rate_hz", "output_timeout_s")
    },
    "enable_depth": Spec(
        False,
        "Subscribe to depth, camera_info and, for depth in another frame, depth_camera_info; publish "
        "~/points.",
        fixed=True,
    ),
    **{name: _at_start(name) for name in ("depth_transport", "depth_slop_s", "image_rectified")},
    "organized_cloud": Spec(
        False, "~/points has a point for each pixel; otherwise only for pixels that are not void.", fixed=True
    ),
    **{name: _at_start(name) for name in ("diagnostics_period_s", "malloc_tuning")},
}


@dataclass(frozen=True)
class SemanticParameters:
    """The parameters, checked; attributes are named as they are.

    Attributes:
        classes: names to publish; None: all.
        confidence_class: None for each pixel's own.
        max_rate_hz, output_timeout_s: None for no limit.
        history_s: for how long depth waits for its image, seconds; no parameter.
    """

    model: str
    backend: str
    precision: str
    threads: int
    image_transport: str
    reliability: str
    classes: tuple[str, ...] | None
    score_threshold: float
    confidence_class: str | None
    resolution: str
    tiles: bool
    overlay_alpha: float
    jpeg_quality: int
    max_rate_hz: float | None
    output_timeout_s: float | None
    enable_depth: bool
    depth_transport: str
    depth_slop_s: float
    image_rectified: bool
    organized_cloud: bool
    diagnostics_period_s: float
    malloc_tuning: bool
    history_s: ClassVar[float] = 2.0

    @classmethod
    def from_values(cls, values: Mapping[str, Any], table: ClassTable | None = None) -> SemanticParameters:
        """Decode the values of ROS parameters.

        Args:
            values: of all parameters, by name.
            table: the classes of the bundle; None while it is not open.

        Raises:
            ValueError: a value is not among the choices or out of its range, or two contradict each other.
        """
        for name, value in values.items():
            _check(name, value, SEMANTIC_PARAMETERS[name])
        if values["organized_cloud"] and not values["enable_depth"]:
            raise ValueError("organized_cloud is true; expected enable_depth to be true with it")
        of_class = _names("confidence_class", [values["confidence_class"]], table)
        decoded = {
            "classes": _names("classes", values["classes"], table),
            "confidence_class": of_class[0] if of_class else None,
            "max_rate_hz": values["max_rate_hz"] or None,
            "output_timeout_s": values["output_timeout_s"] or None,
        }
        return cls(**{**values, **decoded})

    @property
    def job(self) -> str:
        """Return what is answered, for empty outputs."""
        return f"the classes are {'all' if self.classes is None else ', '.join(self.classes)}"


def _check(name: str, value: Any, spec: Spec) -> None:
    if spec.choices and value not in spec.choices:
        raise ValueError(f"{name} is {value!r}; expected {', '.join(spec.choices)}")
    if spec.low is not None and spec.high is not None and not spec.low <= value <= spec.high:  # NaN too
        raise ValueError(f"{name} is {value}; expected {spec.low} to {spec.high}")


def _names(parameter: str, names: Sequence[str], table: ClassTable | None) -> tuple[str, ...] | None:
    """Return the names that are not empty; None where there are none."""
    wanted = tuple(name for name in names if name)
    unknown = [name for name in wanted if table is not None and name not in table.names]
    if unknown and table is not None:
        raise ValueError(f"{parameter} has {unknown[0]!r}; expected some of {', '.join(table.names)}")
    return wanted or None


class NodeSemanticParameters:
    """Declare the parameters of a node, reject unusable values, and hold the current ones.

    Args:
        node: of the parameters.

    Attributes:
        current: replaced as a whole when a parameter changes.

    Raises:
        ValueError: a value given at start cannot be used.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._table: ClassTable | None = None
        for name, spec in SEMANTIC_PARAMETERS.items():
            # Ranges are checked here, with an error that gives them.
            limits = "" if spec.low is None else f"{spec.low:g} to {spec.high:g}"
            node.declare_parameter(
                name,
                spec.default,
                ParameterDescriptor(
                    description=spec.description,
                    read_only=spec.fixed,
                    additional_constraints=f"one of: {', '.join(spec.choices)}" if spec.choices else limits,
                ),
            )
        self.current = self._decoded({})
        node.add_on_set_parameters_callback(self._on_set)

    def use_classes(self, table: ClassTable) -> None:
        """Reject names of classes that a bundle does not have, now and from now on.

        Raises:
            ValueError: a name given at start is unknown.
        """
        self._table = table
        self.current = self._decoded({})

    def _decoded(self, changed: Mapping[str, Any]) -> SemanticParameters:
        values = {name: self._node.get_parameter(name).value for name in SEMANTIC_PARAMETERS}
        try:
            return SemanticParameters.from_values({**values, **changed}, self._table)
        except ValueError as error:
            raise ValueError(f"parameter {error}") from error

    def _on_set(self, changed: list) -> SetParametersResult:
        own = {p.name: p.value for p in changed if p.name in SEMANTIC_PARAMETERS}
        try:
            self.current = self._decoded(own)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)
