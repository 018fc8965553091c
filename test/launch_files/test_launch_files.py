# SPDX-License-Identifier: Apache-2.0
"""What the launch files start, evaluated by a stand-in: executables, parameters and files that exist, and
arguments that do something. That the remapped topics exist in the nodes is shown by test_live_topics.py."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest

from evitsam_ros.backends import BACKENDS

from .expectations import ALL, NAMES, kinds, nodes, ours

#: A value that differs from the default, for arguments without choices.
OTHER = {
    "image": "/other/image",
    "depth_image": "/other/depth",
    "camera_info": "/other/camera_info",
    "depth_camera_info": "/other/depth_camera_info",
    "clicked_point": "/other/point",
    "cameras": "left,right",
    "namespace": "robot",
    "source": "0",
    "rate": "3",
    "frame": "map",
    "model": "/models/other",
    "semantic_model": "/models/classes",
    "score_threshold": "0.5",
    "max_prompts": "16",
    "top_n": "16",
}


@pytest.fixture
def mine(tmp_path) -> str:
    """Return the path of a parameter file of the user's own."""
    file = tmp_path / "mine.yaml"
    file.write_text("{}")
    return str(file)


def test_all_launch_files_are_known_and_installed(share):
    installed = {path.name for path in (share / "launch").iterdir()}
    assert installed == {f"{name}.launch.py" for name in NAMES}


def test_backends_are_those_of_the_registry(launched, monkeypatch):
    monkeypatch.setitem(BACKENDS, "abacus", BACKENDS["openvino"])
    assert launched("segmenter").declared["backend"].choices == ["", "auto", *BACKENDS]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_described_and_every_choice_launches(launched, name):
    declared = launched(name).declared
    for argument, action in declared.items():
        assert action.description, argument
        for choice in action.choices or []:
            assert ours(launched(name, **{argument: choice}))


@pytest.mark.parametrize("name", NAMES)
def test_every_argument_changes_what_is_started(launched, tmp_path, name):
    """An argument that nothing reads, or that is set over, is found by its having no effect."""
    file = tmp_path / "other.yaml"
    file.write_text("{}")
    base = launched(name, **ALL)
    for argument, action in base.declared.items():
        values = [v for v in action.choices or [] if v != base.configurations[argument]]
        values = values or [OTHER.get(argument, str(file))]
        others = [launched(name, **ALL | {argument: value}).started for value in values]
        changed = any(other != base.started for other in others)
        assert changed, argument


@pytest.mark.parametrize("name", NAMES)
def test_executables_and_files_are_installed(launched, setup_arguments, name):
    scripts = {line.split(" = ")[0] for line in setup_arguments["entry_points"]["console_scripts"]}
    modules = dict(line.split(" = ") for line in setup_arguments["entry_points"]["console_scripts"])
    for compose in ("true", "false"):
        for node in launched(name, compose=compose, **ALL).started:
            if node.package != "evitsam_ros":
                assert (node.package, node.executable) in {("rviz2", "rviz2"), ("rqt_gui", "rqt_gui")}
                continue
            assert node.executable in scripts
            module, function = modules[node.executable].split(":")
            assert hasattr(importlib.import_module(module), function)
            for file in [each for each in node.parameters if isinstance(each, str)]:
                assert Path(file).is_file(), file
    files = [a for n in launched(name, **ALL).started for a in n.arguments if a.startswith("/")]
    assert files and all(Path(file).is_file() for file in files), files


@pytest.mark.parametrize("name", NAMES)
def test_parameters_exist_and_have_the_nodes_types(launched, name):
    given = {
        "model": "x",
        "max_prompts": "16",
        "rate": "3",
        "enable_depth": "true",
        "enable_3d_clicks": "True",
    }
    given |= {"backend": "torch", "mode": "prompt", "image_transport": "compressed", "use_sim_time": "true"}
    given |= {"reliability": "reliable", "autostart": "false", "source": "0", **ALL}
    for compose, cameras in itertools.product(("true", "false"), ("front,rear", "")):
        for node in ours(launched(name, **given, compose=compose, cameras=cameras)):
            expected = kinds(node.executable)
            for values in [each for each in node.parameters if isinstance(each, dict)]:
                for parameter, value in values.items():
                    assert type(value) is expected[parameter], (node.executable, parameter, value)


def test_choices_are_those_of_the_node(launched):
    for argument, action in launched("segmenter").declared.items():
        if argument in nodes.PARAMETERS and nodes.PARAMETERS[argument].choices:
            assert set(action.choices) == {"", *nodes.PARAMETERS[argument].choices}


def test_the_parameter_file_sets_values_missing_on_the_command_line(launched, mine):
    """An argument that is not given must not undo what somebody wrote into the file."""
    (node,) = ours(launched("segmenter", params_file=mine))
    assert node.parameters == [mine]
    (node,) = ours(launched("segmenter", params_file=mine, mode="everything", max_prompts="16"))
    assert node.parameters == [mine, {"mode": "everything", "max_prompts": 16}]
    composed = ours(launched("segmenter", params_file=mine, compose="true", source="0", max_prompts="16"))
    assert [node.parameters for node in composed] == [[mine, {"max_prompts": 16, "source": "0"}]]


@pytest.mark.parametrize("compose", ["true", "false"])
def test_deprecated_arguments_set_the_new_parameters_and_warn(launched, mine, compose):
    old = {"top_n": "16", "depth": "true", "clicks_in_space": "true"}
    context = launched("segmenter", params_file=mine, compose=compose, **old)
    (node,) = ours(context)
    assert {"max_prompts": 16, "enable_depth": True, "enable_3d_clicks": True}.items() <= node.parameters[
        1
    ].items()
    assert not node.parameters[1].keys() & old.keys()
    assert [text.split(":=")[0] for text in context.warnings] == list(old)
    (node,) = ours(launched("segmenter", params_file=mine, compose=compose, top_n="16", max_prompts="8"))
    assert node.parameters[1]["max_prompts"] == 8


def test_a_choice_that_does_not_exist_is_refused(launched):
    for argument, value in (("mode", "magic"), ("enable_depth", "perhaps"), ("rviz", "yes")):
        with pytest.raises(AssertionError, match=f"{argument}:={value}"):
            launched("segmenter", **{argument: value})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_prompts": "abc"}, "max_prompts:='abc': expected an integer"),
        ({"max_prompts": "1.5"}, "max_prompts:='1.5': expected an integer"),
        ({"rate": "fast", "camera": "true"}, "rate:='fast': expected a number"),
        ({"rate": "nan", "compose": "true"}, "rate:='nan': expected a number"),
        ({"image": "/bad topic"}, "image:='/bad topic': expected a topic"),
        ({"image": ""}, "image:='': expected a topic"),
        ({"depth_image": "/1st/image"}, "depth_image:='/1st/image': expected a topic"),
        ({"clicked_point": "/clicked//point"}, "clicked_point:=.*expected a topic"),
        ({"namespace": "/"}, "namespace:='/': expected a namespace"),
        ({"namespace": "my robot"}, "namespace:='my robot': expected a namespace"),
        ({"cameras": "a b"}, "cameras:='a b': expected different names"),
        ({"cameras": "front,front"}, "cameras:='front,front': expected different names"),
        ({"params_file": "/nowhere.yaml"}, "params_file:='/nowhere.yaml': expected a file"),
        ({"rviz": "true", "rviz_config": "/nowhere.rviz"}, "rviz_config:='/nowhere.rviz': expected a file"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_an_argument_that_cannot_be_used_is_named_before_anything_starts(launched, name, arguments, text):
    if not arguments.keys() <= launched(name).declared.keys():
        pytest.skip(f"{name}.launch.py has no such argument")
    with pytest.raises(ValueError, match=text):
        launched(name, **arguments)


@pytest.mark.parametrize("topic", ["image", "/image", "~/image", "/a_1/_b/c", "a/b"])
def test_topics_of_every_form_are_taken(launched, topic):
    (node,) = ours(launched("segmenter", image=topic))
    assert node.remappings["image"] == topic


@pytest.mark.parametrize(("window", "package"), [("rviz", "rviz2"), ("rqt", "rqt_gui")])
def test_a_window_that_is_not_installed_is_a_warning(launched, window, package):
    context = launched("demo", without=(package,), **ALL)
    complete = launched("demo", **ALL)
    assert context.started == [node for node in complete.started if node.package != package]
    assert not complete.warnings
    (warning,) = context.warnings
    assert f"{window}:=true" in warning and package in warning and "apt install" in warning


@pytest.mark.parametrize("compose", ["true", "false"])
def test_simulated_time_reaches_every_node_and_window(launched, compose):
    for value, expected in (("true", True), ("False", False)):
        context = launched("multi_camera", use_sim_time=value, compose=compose, **ALL)
        assert len(context.started) == (3 if compose == "true" else 5)
        for node in context.started:
            assert node.parameters[-1]["use_sim_time"] is expected, node.executable


def test_the_shown_defaults_are_those_that_count(launched):
    for name, argument, value in (("everything", "mode", "everything"), ("demo", "camera", "true")):
        context = launched(name)
        assert context.declared[argument].default == value == context.configurations[argument]
        assert context.declared[argument].choices and value in context.declared[argument].choices


def test_choices_of_arguments_declared_again_are_the_same(launched):
    inner = launched("segmenter").declared
    for name in NAMES:
        for argument, action in launched(name).declared.items():
            if argument in inner and inner[argument].choices:
                assert set(action.choices) | {""} == set(inner[argument].choices) | {""}, (name, argument)


def test_the_semantic_node_is_composed_without_a_segmenter(launched):
    (node,) = ours(launched("semantic", compose="true", source="0", score_threshold="0.25", image="/front"))
    assert (node.executable, node.arguments) == ("compose", ["--semantic", "--no-segmenter"])
    assert node.parameters[-1] == {"source": "0", "score_threshold": 0.25}
    assert node.remappings["image"] == "/front"


def test_several_cameras_are_below_their_names(launched):
    segmenter, *desk = ours(
        launched("multi_camera", cameras="front, rear", image="/image_raw", camera="true")
    )
    assert segmenter.parameters[-1]["cameras"] == ["front", "rear"]
    for name in ("front", "rear"):
        assert segmenter.remappings[f"{name}/image"] == f"{name}/image_raw"
        assert segmenter.remappings[f"{name}/image/compressed"] == f"{name}/image_raw/compressed"
    assert [(node.namespace, node.remappings["image"]) for node in desk] == [
        ("front", "image_raw"),
        ("rear", "image_raw"),
    ]


def test_composed_cameras_have_the_namespaces_that_compose_gives_them(launched):
    (node,) = ours(launched("multi_camera", compose="true", image="/image_raw"))
    assert (node.executable, node.name, node.namespace) == ("compose", None, None)
    assert node.remappings["image"] == "image_raw"
    with pytest.raises(ValueError, match="expected no namespace:=robot"):
        launched("multi_camera", compose="true", namespace="robot")


def test_the_drivers_topics_can_be_replaced_one_by_one(launched):
    (node,) = ours(launched("rgbd", driver="orbbec", image="/mine"))
    assert node.remappings["image"] == "/mine"
    assert node.remappings["depth"] == "/camera/depth/image_raw"
    (node,) = ours(launched("rgbd", driver="none"))
    assert node.remappings["image"] == "image"


def test_the_page_is_a_separate_or_composed_node(launched):
    """In a namespace it finds the segmenter there: its parameter ``segmenter`` is relative."""
    *_, page = ours(launched("segmenter", web="true", namespace="robot"))
    assert (page.executable, page.name, page.namespace, page.arguments) == ("web", "web", "robot", [])
    (composed,) = ours(launched("segmenter", web="true", compose="true"))
    assert (composed.executable, composed.arguments) == ("compose", ["--web"])
    assert "web" not in {node.executable for node in ours(launched("segmenter"))}


def test_live_launch_uses_the_scene_of_the_layout(launched):
    segmenter, page, desk, rviz = launched("live").started
    assert (segmenter.executable, page.executable, desk.executable) == ("segmenter", "web", "camera")
    assert desk.parameters[-1]["source"].startswith("scene:")
    for topic in ("image", "depth", "camera_info"):
        assert segmenter.remappings[topic] == desk.remappings[topic]
    assert rviz.arguments[1].endswith("rgbd.rviz")


def test_windows_follow_the_namespace(launched):
    """The layouts name absolute topics; remapped to relative ones they land where the nodes publish."""
    *_, rviz, rqt = launched("segmenter", namespace="robot", **ALL).started
    for window in (rviz, rqt):
        assert window.namespace == "robot"
        assert window.remappings["/segmenter/overlay"] == "segmenter/overlay"
        assert window.remappings["/image"] == "image"
