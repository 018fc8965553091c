# SPDX-License-Identifier: Apache-2.0
"""RViz layouts against the real nodes, and their displays against the docks that the window restores."""

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

pytestmark = pytest.mark.ros

LAYOUTS = {
    "segmenter.rviz": "segmenter",
    "rgbd.rviz": "segmenter",
    "multi_camera.rviz": "cameras",
    "semantic.rviz": "semantic",
}
#: Class of a display after ``rviz_default_plugins/`` -> the type of its messages.
TYPES = {
    "Image": "sensor_msgs/msg/Image",
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
}
#: Inputs of the segmenter that a layout shows too, of the camera's driver and not of the nodes.
CAMERA_TOPIC = re.compile(r"/(front/|rear/)?(image|depth)")


def read(share, layout: str) -> dict:
    return yaml.safe_load((share / "config" / layout).read_text())


def displays(content: dict) -> list[dict]:
    return content["Visualization Manager"]["Displays"]


def docks(content: dict) -> dict[str, bool]:
    """Return the name of each dock in Qt's window state, and whether it is visible.

    ``QMainWindow::saveState`` writes a dock as the byte 0xfb, its name (length in bytes as a big-endian
    32-bit number, then UTF-16), and flags of which the first bit says that it is visible.
    """
    state = bytes.fromhex(content["Window Geometry"]["QMainWindow State"])
    found, place = {}, state.find(b"\xfb")
    while place >= 0:
        length = int.from_bytes(state[place + 1 : place + 5], "big")
        name = state[place + 5 : place + 5 + length]
        if 0 < length < 200 and length % 2 == 0 and len(name) == length:
            found[name.decode("utf-16-be")] = bool(state[place + 5 + length] & 1)
            place += length
        place = state.find(b"\xfb", place + 1)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_image_has_a_dock_that_is_visible_where_the_display_is_on(share, layout):
    """A dock that is visible turns its display on, and one that the state does not name is squeezed in."""
    content = read(share, layout)
    images = {each["Name"]: each["Enabled"] for each in displays(content) if each["Class"].endswith("/Image")}
    panels = {panel["Name"] for panel in content["Panels"]}
    found = docks(content)
    assert images and set(found) == set(images) | panels
    assert {name: found[name] for name in images} == images


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_view_looks_along_the_camera(share, layout):
    """Without pitch and yaw Orbit looks from the side: optical frames have z forward and y down."""
    view = read(share, layout)["Visualization Manager"]["Views"]["Current"]
    assert view["Class"] == "rviz_default_plugins/Orbit"
    assert view["Pitch"] == pytest.approx(-1.2) and view["Yaw"] == pytest.approx(4.71)
    assert view["Focal Point"]["Z"] > 1


@pytest.mark.parametrize(("layout", "of"), LAYOUTS.items())
def test_displays_match_the_published_topics(share, live, layout, of):
    offered = {topic: (kind, reliability) for topic, kind, reliability in live(of).offered}
    shown = [each for each in displays(read(share, layout)) if "Topic" in each]
    assert shown
    for display in shown:
        topic, kind = display["Topic"], TYPES[display["Class"].split("/")[1]]
        if CAMERA_TOPIC.fullmatch(topic["Value"]):
            # Camera drivers publish best effort: a reliable display would show nothing.
            assert topic["Reliability Policy"] == "Best Effort"
            continue
        published, reliability = offered[topic["Value"]]
        assert published == kind, display["Name"]
        assert topic["Reliability Policy"] in ("Reliable", "Best Effort") and reliability == "RELIABLE"
        assert topic["Durability Policy"] == "Volatile"
        assert topic["Depth"] == 1, "an image that waits in a queue is an old image"


@pytest.mark.parametrize(("launch_file", "layout"), [("segmenter", "segmenter.rviz"), ("rgbd", "rgbd.rviz")])
def test_compressed_images_are_the_same_layout_with_other_topics(launched, share, live, launch_file, layout):
    """RViz takes the transport from the topic's name; the nodes publish CompressedImage there."""
    given = {"rviz": "true", "rviz_transport": "compressed", "namespace": "robot"}
    (rviz,) = [node for node in launched(launch_file, **given).started if node.package == "rviz2"]
    file = Path(rviz.arguments[rviz.arguments.index("-d") + 1])
    raw, compressed = read(share, layout), yaml.safe_load(file.read_text())
    offered = {topic: kind for topic, kind, _ in live("segmenter").offered}
    changed = 0
    for before, after in zip(displays(raw), displays(compressed), strict=True):
        topic = before.get("Topic", {}).get("Value", "")
        if before["Class"].endswith("/Image") and topic.startswith("/segmenter/"):
            changed += 1
            assert after["Topic"]["Value"] == f"{topic}/compressed"
            assert offered[f"{topic}/compressed"] == "sensor_msgs/msg/CompressedImage"
            assert rviz.remappings[f"{topic}/compressed"] == f"{topic}/compressed".lstrip("/")
            after["Topic"]["Value"] = topic
    assert changed and compressed == raw
    (rviz,) = [n for n in launched(launch_file, rviz="true").started if n.package == "rviz2"]
    assert rviz.arguments[rviz.arguments.index("-d") + 1] == str(share / "config" / layout)


@pytest.mark.parametrize(("driver", "depth"), [("realsense", None), ("none", "/cam/depth")])
def test_the_scene_to_click_on_follows_the_camera(launched, share, driver, depth):
    """DepthCloud subscribes to the camera's own topics, which the launch file remaps."""
    (scene,) = [each for each in displays(read(share, "rgbd.rviz")) if "DepthCloud" in each["Class"]]
    given = {"driver": driver, "rviz": "true"} | ({"depth_image": depth} if depth else {})
    (rviz,) = [node for node in launched("rgbd", **given).started if node.package == "rviz2"]
    topics = dict(rviz.remappings)
    expected = depth or "/camera/camera/aligned_depth_to_color/image_raw"
    assert topics[scene["Depth Map Topic"]] == expected
    assert scene["Color Image Topic"] in topics and scene["Enabled"]
