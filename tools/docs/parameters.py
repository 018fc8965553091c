# SPDX-License-Identifier: Apache-2.0
"""The page of the nodes' parameters, from the tables by which the nodes declare them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evitsam_ros.nodes.parameter_specs import PARAMETERS, RENAMED, Spec
from evitsam_ros.nodes.semantic_parameters import SEMANTIC_PARAMETERS

from .markdown import code, page, sentence, table, value

if TYPE_CHECKING:
    from collections.abc import Mapping

INTRODUCTION = """\
`config/segmenter.yaml` has every parameter of the segmenter with its default. `ros2 param describe
/segmenter NAME` prints the descriptions of this page.

The column *change* states when a new value takes effect:

- **live**: at once, while the node runs (`ros2 param set`).
- **configure**: at the next configuration of the node (`ros2 lifecycle set /segmenter configure`).
- **start**: the value is read once, at the start.
"""
#: Node -> introduction. Their modules have a table PARAMETERS of defaults and descriptions.
OTHERS = {
    "camera": "The desk camera publishes an image, a folder, a video, a bag or a device as a camera would.",
    "web": "The page in a browser; see [The page](../web.md).",
    "profiler": "The profiler measures a running segmenter from outside; see [Profiling](../profiling.md).",
    "detections_converter": "The converter passes detections of other packages on as prompts; see "
    "[Works with](../works_with.md).",
}


def parameters_page() -> str:
    """Return the page."""
    others = [
        f"## {node}\n\n{text}\n\n{_pairs(import_module(f'evitsam_ros.nodes.{node}').PARAMETERS)}"
        for node, text in OTHERS.items()
    ]
    return page(
        "Parameters",
        INTRODUCTION,
        "## segmenter",
        _specs(PARAMETERS),
        "### Deprecated names",
        "These names are accepted for one more release, with a warning.",
        table(["deprecated", "parameter"], [[code(a), code(b)] for a, b in sorted(RENAMED.items())]),
        "## semantic",
        "The node of class label maps; see [Semantic segmentation](../semantic.md).",
        _specs(SEMANTIC_PARAMETERS),
        *others,
    )


def _specs(specs: Mapping[str, Spec]) -> str:
    rows = [
        [code(name), value(spec.default), _range(spec), _change(spec), sentence(spec.description)]
        for name, spec in specs.items()
    ]
    return table(["parameter", "default", "values", "change", "description"], rows)


def _range(spec: Spec) -> str:
    if spec.choices:
        return ", ".join(map(code, spec.choices))
    if spec.low is not None and spec.high is not None:
        return f"{spec.low:g} to {spec.high:g}"
    return {bool: "`true`, `false`", str: "string", list: "array"}.get(type(spec.default), "number")


def _change(spec: Spec) -> str:
    if spec.fixed:
        return "start"
    return "live" if spec.live else "configure"


def _pairs(parameters: Mapping[str, tuple[Any, str]]) -> str:
    rows = [[code(name), value(default), sentence(text)] for name, (default, text) in parameters.items()]
    return table(["parameter", "default", "description"], rows)
