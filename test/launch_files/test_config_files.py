# SPDX-License-Identifier: Apache-2.0
"""Parameter files, RViz layouts and rqt perspective: right for the nodes, and used by the launch files."""

import itertools
from pathlib import Path

import pytest
import yaml

from .expectations import ALL, NAMES, classes, kinds, layout_topics, nodes


@pytest.mark.parametrize("name", NAMES)
def test_every_topic_of_the_layouts_is_remapped(launched, name):
    context = launched(name, **ALL)
    for window in [node for node in context.started if node.package in ("rviz2", "rqt_gui")]:
        (layout,) = [Path(a) for a in window.arguments if a.endswith((".rviz", ".perspective"))]
        topics = layout_topics(yaml.safe_load(layout.read_text())) - {"/clicked_point"}
        several = name == "multi_camera" and window.package == "rqt_gui"
        assert topics and (topics <= set(window.remappings) or several), topics - set(window.remappings)


def test_the_perspective_starts_plugins_that_it_configures(share):
    """rqt evaluates every value; the plugins are those of rqt_common_plugins, besides rqt_image_view."""
    groups = yaml.safe_load((share / "config" / "segmenter.perspective").read_text())["groups"]
    manager = groups["pluginmanager"]
    running = eval(manager["keys"]["running-plugins"]["repr"], {})
    started = {
        f"plugin__{plugin.replace('/', '__')}__{number}"
        for plugin, numbers in running.items()
        for number in numbers
    }
    assert set(manager["groups"]) <= started
    view = manager["groups"]["plugin__rqt_image_view__ImageView__1"]["groups"]["plugin"]["keys"]
    assert eval(view["publish_click_location"]["repr"], {}) is True
    assert eval(view["mouse_pub_topic"]["repr"], {}) == "/segmenter/pixel"


@pytest.mark.parametrize(
    "file", ["segmenter", "everything", "demo", "live", "rgbd", "multi_camera", "semantic"]
)
def test_parameter_files_name_parameters_of_the_right_type(share, file):
    content = yaml.safe_load((share / "config" / f"{file}.yaml").read_text())
    assert content
    for node, section in content.items():
        expected = kinds(node.removeprefix("/**/"))
        for parameter, value in section["ros__parameters"].items():
            assert type(value) is expected[parameter], (node, parameter, value)
            specs = classes.SEMANTIC_PARAMETERS if node.endswith("semantic") else nodes.PARAMETERS
            spec = specs.get(parameter)
            if spec and spec.choices:
                assert value in spec.choices
            if spec and spec.low is not None:
                assert spec.low <= value <= spec.high


def test_the_semantic_file_has_every_parameter_with_its_default(share):
    content = yaml.safe_load((share / "config" / "semantic.yaml").read_text())
    expected = {name: spec.default for name, spec in classes.SEMANTIC_PARAMETERS.items()}
    assert content["/**/semantic"]["ros__parameters"] == expected


def test_the_file_of_several_cameras_has_the_launch_files_default(launched, share):
    content = yaml.safe_load((share / "config" / "multi_camera.yaml").read_text())
    cameras = content["/**/segmenter"]["ros__parameters"]["cameras"]
    assert ",".join(cameras) == launched("multi_camera").configurations["cameras"]


def test_all_files_of_config_are_used_or_explained(launched, share):
    """A layout or parameter file that no launch file names is a leftover."""
    used = set()
    for name, compose in itertools.product(NAMES, ("false", "true")):
        for node in launched(name, **ALL, compose=compose).started:
            used |= {Path(each).name for each in [*node.parameters, *node.arguments] if isinstance(each, str)}
    explained = {"fastdds_images.xml"}
    assert {path.name for path in (share / "config").iterdir() if path.is_file()} == (
        {name for name in used if name.endswith((".yaml", ".rviz", ".perspective"))} | explained
    )
