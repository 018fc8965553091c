# SPDX-License-Identifier: Apache-2.0
"""Launch file, parameter file and RViz layout against the node. The launch stack is not on the Python index:
recording stand-ins take its place."""

import re
import runpy
import sys
import types
from pathlib import Path

import pytest
import yaml

from evitsam_ros.nodes.parameters import PARAMETERS

ROOT = Path(__file__).parents[2]


class Recorded:
    """Remembers how it was made."""

    def __init__(self, *args, **kwargs) -> None:
        self.args, self.kwargs = args, kwargs


class Configuration(Recorded):
    """An argument's value, read from a context that is a plain dictionary."""

    def perform(self, context: dict[str, str]) -> str:
        context.setdefault("read", set()).add(self.args[0])
        return context.get(self.args[0], "")


@pytest.fixture
def description(monkeypatch):
    modules = {
        "launch": ["LaunchDescription"],
        "launch.actions": ["DeclareLaunchArgument", "OpaqueFunction"],
        "launch.conditions": ["IfCondition"],
        "launch.substitutions": ["PathJoinSubstitution"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.parameter_descriptions": ["ParameterValue"],
        "launch_ros.substitutions": ["FindPackageShare"],
    }
    for name, classes in modules.items():
        module = types.ModuleType(name)
        for each in classes:
            setattr(module, each, type(each, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["launch.substitutions"].LaunchConfiguration = Configuration
    launched = runpy.run_path(str(ROOT / "launch" / "segmenter.launch.py"))
    return launched["generate_launch_description"]().args[0]


def started(description: list, **given: str) -> list:
    """The nodes, with the segmenter that the given arguments make, and the arguments that were read."""
    (made,) = of("OpaqueFunction", description)
    context: dict = dict(given)
    nodes = [*made.kwargs["function"](context), *of("Node", description)]
    return [nodes, context["read"]]


def of(kind: str, entities: list) -> list:
    return [entity for entity in entities if type(entity).__name__ == kind]


def test_launch_arguments_are_described_and_used(description):
    arguments = {a.args[0]: a.kwargs for a in of("DeclareLaunchArgument", description)}
    assert all(kwargs["description"] for kwargs in arguments.values())
    nodes, used = started(description)

    def walk(value) -> None:
        if isinstance(value, Configuration):
            used.add(value.args[0])
        elif isinstance(value, Recorded):
            walk(value.args), walk(value.kwargs)
        elif isinstance(value, dict):
            walk(list(value.values()))
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)

    walk(nodes)
    assert used == set(arguments)


def test_launch_starts_our_executables_with_parameters_that_exist(description):
    nodes = {node.kwargs["executable"]: node.kwargs for node in started(description)[0]}
    assert set(nodes) == {"segmenter", "camera", "rviz2"}
    scripts = (ROOT / "setup.py").read_text()
    for name in ("segmenter", "camera"):
        assert nodes[name]["package"] == "evitsam_ros"
        assert f"{name} = {{NAME}}.nodes.{name}:main" in scripts
    from evitsam_ros.nodes.camera import PARAMETERS as CAMERA

    assert set(nodes["camera"]["parameters"][0]) <= set(CAMERA)
    assert {"camera", "rviz2"} == {name for name, kwargs in nodes.items() if "condition" in kwargs}


def test_the_parameter_file_decides_what_the_command_line_leaves_out(description):
    """An argument that is not given must not undo what somebody wrote into the file."""
    (file,) = started(description)[0][0].kwargs["parameters"]
    assert file.args == ("params_file",)
    given = {"mode": "everything", "top_n": "16", "depth": "true"}
    _, overrides = started(description, **given)[0][0].kwargs["parameters"]
    assert {name: value.args[0] for name, value in overrides.items()} == given
    assert {name: value.kwargs["value_type"] for name, value in overrides.items()} == {
        name: type(PARAMETERS[name].default) for name in given
    }


def test_parameter_file_states_every_parameter_with_its_default():
    content = yaml.safe_load((ROOT / "config" / "segmenter.yaml").read_text())
    stated = content["/**/segmenter"]["ros__parameters"]
    assert stated == {name: spec.default for name, spec in PARAMETERS.items()}


def test_readme_names_every_parameter():
    readme = (ROOT / "README.md").read_text()
    assert not [name for name in PARAMETERS if f"`{name}`" not in readme]


def test_rviz_layout_shows_our_topics():
    layout = yaml.safe_load((ROOT / "config" / "segmenter.rviz").read_text())
    displays = layout["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays}
    assert {"/segmenter/overlay", "/segmenter/mask", "/segmenter/points", "/segmenter/boxes_3d"} <= topics
    nodes = ROOT / "evitsam_ros" / "nodes"
    source = "".join((nodes / name).read_text() for name in ("outputs.py", "space.py", "channel.py"))
    for topic in topics:
        assert re.search(rf'"/?{topic.rsplit("/", 1)[-1]}"', source), topic
