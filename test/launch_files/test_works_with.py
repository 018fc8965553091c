# SPDX-License-Identifier: Apache-2.0
"""Our side of the launch lines, the code and the configuration in docs/works_with.md and docs/requests.md."""

import re
import shlex
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

converter = pytest.importorskip("evitsam_ros.nodes.detections_converter", reason="ROS 2 is not installed")

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "works_with.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
LINES = [
    line.partition("   #")[0]
    for kind, block in BLOCKS
    if not kind
    for line in block.replace("\\\n", " ").splitlines()
]
#: Inputs and outputs of the segmenter that the lines name.
TOPICS = {"/segmenter/prompts", "/segmenter/points"}


def test_our_launch_lines_have_arguments_that_exist(launched):
    ours = [shlex.split(line) for line in LINES if line.startswith("ros2 launch evitsam_ros ")]
    assert len(ours) >= 5
    for words in ours:
        arguments = dict(word.split(":=", 1) for word in words[4:])
        declared = launched(words[3].removesuffix(".launch.py")).declared
        assert set(arguments) <= set(declared), words
        for name, value in arguments.items():
            assert not declared[name].choices or value in declared[name].choices, words


def test_lines_of_the_converter_have_its_topics_and_parameters():
    ours = [shlex.split(line) for line in LINES if "detections_converter" in line]
    assert len(ours) >= 4
    for words in ours:
        assert words[:4] == ["ros2", "run", "evitsam_ros", "detections_converter"]
        options = list(zip(words[5::2], words[6::2], strict=True))
        remapped = dict(word.split(":=", 1) for flag, word in options if flag == "-r")
        assert set(remapped) == {"detections_in", "detections_out"}
        assert remapped["detections_out"] == "/segmenter/prompts"
        given = dict(word.split(":=", 1) for flag, word in options if flag == "-p")
        for name, value in given.items():
            assert type(yaml.safe_load(value)) is type(converter.PARAMETERS[name][0]), words


def test_topics_of_the_segmenter_exist(live):
    named = set(re.findall(r"/segmenter/\w+", TEXT))
    assert named == TOPICS
    graph = live("segmenter")
    assert named <= graph.publish | graph.subscribe


def test_costmap_configuration_is_yaml():
    (block,) = [block for kind, block in BLOCKS if kind == "yaml"]
    layer = yaml.safe_load(block)["local_costmap"]["local_costmap"]["ros__parameters"]["voxel_layer"]
    assert layer["objects"]["topic"] == "/segmenter/points"


class Message(SimpleNamespace):
    """A message of a package that is not installed."""

    BOX = ADD = 1

    def __init__(self, **values) -> None:
        super().__init__(**{"header": SimpleNamespace(), **values})


def test_collision_object_of_an_instance_is_its_box(monkeypatch):
    interfaces = pytest.importorskip("evitsam_interfaces.msg", reason="evitsam_interfaces is not built")
    for name, kind in (("moveit_msgs", "CollisionObject"), ("shape_msgs", "SolidPrimitive")):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        module = types.ModuleType(f"{name}.msg")
        setattr(module, kind, Message)
        monkeypatch.setitem(sys.modules, f"{name}.msg", module)
    (block,) = [block for kind, block in BLOCKS if kind == "python"]
    namespace: dict = {}
    exec(block, namespace)
    instance = interfaces.Instance(id=3)
    instance.box_size.x, instance.box_size.y = 0.8, 0.4
    instance.box_pose.position.z = 2.0
    message = interfaces.InstanceArray(spatial_frame_id="base_link", instances=[instance])
    made = namespace["collision_object"](message, instance)
    assert (made.id, made.header.frame_id) == ("object_3", "base_link")
    assert made.primitives[0].dimensions == [0.8, 0.4, 0.005]
    assert made.primitive_poses[0].position.z == 2.0


def test_requests_name_fields_and_codes_that_exist():
    interfaces = pytest.importorskip("evitsam_interfaces.msg", reason="evitsam_interfaces is not built")
    services = pytest.importorskip("evitsam_interfaces.srv")
    text = (DOCS / "requests.md").read_text()
    rows = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    codes = {name for name in named if name.isupper()}
    assert codes == {name for name in dir(interfaces.Status) if name.isupper() and name != "OK"} - {
        "SLOT_TYPES"
    }
    assert named - codes == set(services.Segment.Request.get_fields_and_field_types())
