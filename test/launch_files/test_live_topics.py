# SPDX-License-Identifier: Apache-2.0
"""Topics that launch files remap and layouts show, against the real nodes over DDS."""

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from .expectations import ALL, NAMES, layout_topics, ours

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("name", NAMES)
def test_remapped_topics_are_inputs_or_outputs_of_the_node(launched, live, name):
    for node in ours(launched(name, **ALL)):
        several = name == "multi_camera" and node.executable == "segmenter"
        graph = live("cameras" if several else node.executable)
        missing = {f"/{topic}" for topic in node.remappings} - graph.subscribe - graph.publish
        assert not missing, f"{node.executable} has none of {sorted(missing)}"


@pytest.mark.parametrize(
    ("layout", "of"),
    [
        ("segmenter.rviz", "segmenter"),
        ("rgbd.rviz", "segmenter"),
        ("multi_camera.rviz", "cameras"),
        ("semantic.rviz", "semantic"),
        ("segmenter.perspective", "segmenter"),
    ],
)
def test_layouts_show_topics_that_exist(share, live, layout, of):
    topics = layout_topics(yaml.safe_load((share / "config" / layout).read_text()))
    graph = live(of)
    assert topics, layout
    missing = topics - graph.publish - graph.subscribe - {"/clicked_point"}
    assert not missing, f"{layout} names {sorted(missing)}"
