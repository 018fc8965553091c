# SPDX-License-Identifier: Apache-2.0
"""The types in the reference of the topics and services against those of the real nodes over DDS.

That their names are complete is shown by test/package/test_reference.py.
"""

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from tools.docs.topics import read_topics

from .live import expanded

NODES = {node.name: node for node in read_topics()}

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("node", ["segmenter", "semantic", "camera", "web"])
def test_types_are_those_of_the_running_node(live, node):
    found = dict(live(node).types)
    listed = {expanded(entry.name, node, "/"): entry.type for entry in NODES[node].entries}
    # The semantic node subscribes to transforms once depth in another frame has come.
    expected = {name: found.get(name) for name in listed if node != "semantic" or not name.startswith("/tf")}
    assert {name: listed[name] for name in expected} == expected
