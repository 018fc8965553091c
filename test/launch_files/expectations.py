# SPDX-License-Identifier: Apache-2.0
"""What the tests of the launch files know of the package: its launch files, nodes, parameters and layouts."""

from __future__ import annotations

import importlib

import pytest

from .stand_in import Context, Started

nodes = pytest.importorskip("evitsam_ros.nodes.parameter_specs", reason="ROS 2 is not installed")
camera = importlib.import_module("evitsam_ros.nodes.camera")
classes = importlib.import_module("evitsam_ros.nodes.semantic_parameters")
web = importlib.import_module("evitsam_ros.nodes.web")

NAMES = ["segmenter", "everything", "demo", "live", "rgbd", "multi_camera", "semantic"]
#: Every window and every node, so that everything an argument decides shows.
ALL = {"rviz": "true", "rqt": "true", "camera": "true"}


def kinds(executable: str) -> dict[str, type]:
    """Parameters that a node takes from a launch file, with their types."""
    segmenter = {name: type(spec.default) for name, spec in nodes.PARAMETERS.items()}
    desk = {name: type(default) for name, (default, _) in camera.PARAMETERS.items()}
    semantic = {name: type(spec.default) for name, spec in classes.SEMANTIC_PARAMETERS.items()}
    page = {name: type(default) for name, (default, _) in web.PARAMETERS.items()}
    composed = segmenter | semantic | desk
    own = {"segmenter": segmenter, "camera": desk, "semantic": semantic, "web": page}
    own["compose"] = composed
    return own[executable] | {"use_sim_time": bool}


def ours(context: Context) -> list[Started]:
    return [node for node in context.started if node.package == "evitsam_ros"]


def layout_topics(value) -> set[str]:
    """All topics that an RViz layout or an rqt perspective names."""
    if isinstance(value, dict):
        own = {value["Value"]} if "Value" in value and "Depth" in value else set()
        own |= {topic for key, topic in value.items() if key.endswith(" Topic") and isinstance(topic, str)}
        return own.union(*map(layout_topics, value.values()))
    if isinstance(value, list):
        return set().union(*map(layout_topics, value))
    return {value.strip("'")} if isinstance(value, str) and value.startswith("'/") else set()
