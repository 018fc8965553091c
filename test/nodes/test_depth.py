# SPDX-License-Identifier: Apache-2.0
"""Depth in, points and boxes in space out, over real DDS, with a camera whose geometry is known."""

import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from visualization_msgs.msg import Marker, MarkerArray

from evitsam_ros.nodes.messages import image_message

from .harness import transform
from .prompting import detection, prompt

pytestmark = pytest.mark.usefixtures("clean")

WIDTH, HEIGHT, FOCAL = 160, 120, 100.0


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_depth=True, enable_tracking=False)
    made.wait_state("active")
    return made


def info() -> CameraInfo:
    k = [FOCAL, 0.0, 80.0, 0.0, FOCAL, 60.0, 0.0, 0.0, 1.0]
    return CameraInfo(width=WIDTH, height=HEIGHT, k=k, distortion_model="plumb_bob", d=[0.0] * 5)


def wall(stamp: int, millimetres: int = 2000) -> Image:
    message = image_message(info().header, np.full((HEIGHT, WIDTH), millimetres, np.uint16), "16UC1")
    message.header.stamp.sec = stamp
    return message


def contents(message) -> list:
    """What is in an answer, each with a header of its own where the message has none."""
    for name in ("markers", "detections"):
        if hasattr(message, name):
            return [item for item in getattr(message, name) if getattr(item, "action", 0) != Marker.DELETEALL]
    return [message] * message.width


def answer(robot, kind: type, topic: str):
    """The first answer with contents to an image that is sent now, whose depth comes just before."""
    heard = robot.peer.listen(kind, robot.topic(topic))
    robot.peer.keep_publishing("/camera_info", info())
    first = robot.stamp + 1

    def found():
        return [m for m in heard if contents(m) and contents(m)[0].header.stamp.sec >= first]

    for _ in range(40):
        robot.peer.publish("/depth", wall(robot.stamp + 1))
        robot.peer.until(lambda: False, 0.1)
        robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        if robot.peer.until(lambda: bool(found()), 1.0):
            return found()[0]
    raise AssertionError(f"{robot.diagnostics}\n{robot.process.output}")


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
    assert cloud.width == len(points)
    assert (points["z"] == 2.0).all() and set(points["label"]) == {1}
    assert (points["rgb"].copy().view(np.uint32) == 0x5A5A5A).all()
    # The box of 40 x 20 pixels around (100, 60), two metres away.
    low, high = [points[a].min() for a in "xy"], [points[a].max() for a in "xy"]
    np.testing.assert_allclose(low, [0.0, -0.2], atol=0.1)
    np.testing.assert_allclose(high, [0.8, 0.2], atol=0.1)


def test_boxes_are_markers_that_go_with_their_objects(robot):
    prompt(robot, detection(100, 60, 40, 20))
    deletion, edges, text = answer(robot, MarkerArray, "boxes_3d").markers
    assert deletion.action == Marker.DELETEALL
    assert (edges.type, edges.action, edges.id) == (Marker.LINE_LIST, Marker.ADD, 1)
    centre = edges.pose.position
    np.testing.assert_allclose([centre.x, centre.y, centre.z], [0.4, 0.0, 2.0], atol=0.06)
    assert text.text == "1 object 0.90"
    heard = robot.peer.listen(MarkerArray, robot.topic("boxes_3d"))
    del heard[:]
    robot.peer.call(*clear(robot))

    for _ in range(40):
        robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        if robot.peer.until(lambda: bool(heard) and not contents(heard[-1]), 1.0):
            break
    assert [m.action for m in heard[-1].markers] == [Marker.DELETEALL]


def clear(robot):
    from std_srvs.srv import Trigger

    return Trigger, robot.topic("clear_prompts"), Trigger.Request()


def test_depth_that_does_not_belong_to_the_image_is_named(robot):
    prompt(robot, detection(100, 60, 40, 20))
    before = robot.count("no_depth")
    robot.peer.listen(PointCloud2, robot.topic("points"))
    for _ in range(12):
        robot.peer.publish("/depth", wall(7))
        robot.peer.until(lambda: False, 0.02)
    robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    assert robot.peer.until(lambda: robot.count("no_depth") > before)
    assert "s earlier; expected 0.05 s or less (depth_slop_s)" in robot.process.output


def test_detections_in_space_have_the_class_of_the_detection(robot):
    vision_msgs = pytest.importorskip("vision_msgs.msg")
    prompt(robot, detection(100, 60, 40, 20, name="cup"))
    (found,) = answer(robot, vision_msgs.Detection3DArray, "detections_3d").detections
    assert (found.id, found.results[0].hypothesis.class_id) == ("1", "cup")
    np.testing.assert_allclose(found.bbox.center.position.z, 2.0, atol=1e-6)


def points_of(cloud: PointCloud2) -> np.ndarray:
    """``(N, 3)``."""
    kind = {"names": list("xyz"), "formats": ["<f4"] * 3, "offsets": [0, 4, 8], "itemsize": cloud.point_step}
    points = np.frombuffer(bytes(cloud.data), np.dtype(kind))
    return np.column_stack([points[name] for name in "xyz"])


def test_depth_of_another_frame_is_aligned_by_tf_or_not_used(robot):
    """The depth camera is 0.2 m to the right of the image's, half as fine, and sees a wall at two metres."""
    tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not built")
    prompt(robot, detection(100, 60, 40, 20))
    clouds = robot.peer.listen(PointCloud2, robot.topic("points"))
    robot.peer.keep_publishing("/camera_info", info())
    k = [FOCAL / 2, 0.0, 39.75, 0.0, FOCAL / 2, 29.75, 0.0, 0.0, 1.0]
    fine = info()
    fine.header.frame_id = "depth_7"
    fine.width, fine.height, fine.k = WIDTH // 2, HEIGHT // 2, k

    def cloud(done, seconds: int = 40) -> PointCloud2:
        for _ in range(seconds):
            depth = image_message(fine.header, np.full((HEIGHT // 2, WIDTH // 2), 2000, np.uint16), "16UC1")
            depth.header.stamp.sec = robot.stamp + 1
            robot.peer.publish("/depth", depth)
            robot.peer.until(lambda: False, 0.1)
            del clouds[:]
            robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
            robot.peer.until(lambda: bool(clouds), 1.0)
            if clouds and done(clouds[-1]):
                return clouds[-1]
        raise AssertionError(f"{robot.diagnostics}\n{robot.process.output}")

    cloud(lambda found: not found.width and "depth is in frame 'depth_7'" in robot.diagnostics["last_error"])
    assert "the image in 'camera_7'" in robot.process.output
    robot.peer.keep_publishing("/depth_camera_info", fine)
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    robot.peer.publishers["/tf_static"] = robot.peer.node.create_publisher(
        tf2_msgs.TFMessage, "/tf_static", latched
    )
    pose = transform("camera_7", "depth_7", (0.2, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    robot.peer.publish("/tf_static", tf2_msgs.TFMessage(transforms=[pose]))
    points = points_of(cloud(lambda found: found.width > 0))
    np.testing.assert_allclose(points[:, 2], 2.0, atol=1e-6)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    np.testing.assert_allclose(low, [0.0, -0.2], atol=0.1)
    np.testing.assert_allclose(high, [0.8, 0.2], atol=0.1)
