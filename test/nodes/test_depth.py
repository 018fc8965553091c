# SPDX-License-Identifier: Apache-2.0
"""Depth in, points and boxes in space out, over real DDS, with a camera whose geometry is known."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from evitsam_ros.nodes.outgoing import image_message

from .test_segmenter import clean, detection, prompt  # noqa: F401  (clean is a fixture)

WIDTH, HEIGHT, FOCAL = 160, 120, 100.0


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(depth=True, track=False)
    made.wait_state("active")
    return made


def info() -> CameraInfo:
    k = [FOCAL, 0.0, 80.0, 0.0, FOCAL, 60.0, 0.0, 0.0, 1.0]
    return CameraInfo(width=WIDTH, height=HEIGHT, k=k, distortion_model="plumb_bob", d=[0.0] * 5)


def wall(stamp: int, millimetres: int = 2000) -> Image:
    message = image_message(info().header, np.full((HEIGHT, WIDTH), millimetres, np.uint16), "16UC1")
    message.header.stamp.sec = stamp
    return message


def answer(robot, kind: type, topic: str, late: int = 0):
    """The answer to an image whose depth came just before, ``late`` seconds off."""
    heard = robot.peer.listen(kind, robot.topic(topic))
    robot.peer.keep_publishing("/camera_info", info())
    before = len(heard)
    for _ in range(20):
        robot.peer.publish("/depth", wall(robot.stamp + 1 - late))
        robot.peer.until(lambda: False, 0.1)
        robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        if robot.peer.until(lambda: len(heard) > before, 1.0):
            return heard[-1]
    return None


def test_points_lie_on_the_wall_where_the_mask_is(robot):
    prompt(robot, detection(100, 60, 40, 20))
    cloud = answer(robot, PointCloud2, "points")
    kinds = {1: "i1", 4: "u2", 7: "f4"}
    kind = np.dtype(
        {
            "names": [f.name for f in cloud.fields],
            "formats": [kinds[f.datatype] for f in cloud.fields],
            "offsets": [f.offset for f in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    points = np.frombuffer(bytes(cloud.data), kind)
    assert cloud.width == len(points) and cloud.header.stamp.sec == robot.stamp
    assert (points["z"] == 2.0).all() and set(points["label"]) == {1}
    assert (points["rgb"].copy().view(np.uint32) == 0x5A5A5A).all()
    # The box of 40 x 20 pixels around (100, 60), two metres away.
    low, high = [points[a].min() for a in "xy"], [points[a].max() for a in "xy"]
    np.testing.assert_allclose(low, [0.0, -0.2], atol=0.1)
    np.testing.assert_allclose(high, [0.8, 0.2], atol=0.1)


def test_boxes_are_markers_that_go_with_their_objects(robot):
    prompt(robot, detection(100, 60, 40, 20))
    (marker,) = answer(robot, MarkerArray, "boxes_3d").markers
    assert (marker.type, marker.action, marker.id) == (Marker.CUBE, Marker.ADD, 1)
    centre = marker.pose.position
    np.testing.assert_allclose([centre.x, centre.y, centre.z], [0.4, 0.0, 2.0], atol=0.06)
    np.testing.assert_allclose([marker.scale.x, marker.scale.y], [0.8, 0.4], atol=0.2)
    robot.peer.call(*clear(robot))
    (marker,) = answer(robot, MarkerArray, "boxes_3d").markers
    assert (marker.action, marker.id) == (Marker.DELETE, 1)


def clear(robot):
    from std_srvs.srv import Trigger

    return Trigger, robot.topic("clear_prompts"), Trigger.Request()


def test_depth_that_does_not_belong_to_the_image_is_named(robot):
    prompt(robot, detection(100, 60, 40, 20))
    before = robot.count("no_depth")
    robot.peer.listen(PointCloud2, robot.topic("points"))
    for _ in range(12):  # longer than the depths that are kept
        robot.peer.publish("/depth", wall(7))
        robot.peer.until(lambda: False, 0.02)
    robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    assert robot.peer.until(lambda: robot.count("no_depth") > before)
    assert "s away; expected 0.05 s or less (depth_slop_s)" in robot.process.output
