# SPDX-License-Identifier: Apache-2.0
"""RViz's Publish Point over real DDS, with transforms and a lens that are known in closed form."""

import math

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from .harness import pixels, transform

tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not built")

FOCAL, WIDTH, HEIGHT = 100.0, 128, 96
DISTORTION = [-0.25, 0.08, 0.001, -0.002, 0.0]


def info(distortion=(0.0,) * 5) -> CameraInfo:
    k = [FOCAL, 0.0, 64.0, 0.0, FOCAL, 48.0, 0.0, 0.0, 1.0]
    return CameraInfo(width=WIDTH, height=HEIGHT, k=k, distortion_model="plumb_bob", d=list(distortion))


@pytest.fixture(scope="module")
def robot(robots):
    """base_link: x forward, z up; the camera half a metre above, looking forward (REP 103)."""
    made = robots(enable_3d_clicks=True, enable_tracking=False, history_s=60.0)
    made.wait_state("active")
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    made.peer.publishers["/tf_static"] = made.peer.node.create_publisher(
        tf2_msgs.TFMessage, "/tf_static", latched
    )
    optical = transform("base_link", "camera_7", (0.0, 0.0, 0.5), (-0.5, 0.5, -0.5, 0.5))
    made.peer.publish("/tf_static", tf2_msgs.TFMessage(transforms=[optical]))
    return made


def drive(robot, stamp: int, x: float, degrees: float = 0.0) -> None:
    """Where the robot is on the map at a time."""
    half = math.radians(degrees) / 2
    turned = (0, 0, math.sin(half), math.cos(half))
    pose = transform("map", "base_link", (x, 0, 0), turned, stamp)
    robot.peer.publish("/tf", tf2_msgs.TFMessage(transforms=[pose]))


def click(robot, frame: str, point) -> None:
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    message = PointStamped()
    message.header.frame_id = frame
    message.point.x, message.point.y, message.point.z = map(float, point)
    robot.peer.publish("/clicked_point", message)


def see(robot, **image) -> None:
    """An image has come to the node; on a busy machine the first one may be lost."""
    before = robot.count("frames_in")
    for _ in range(20):
        robot.send_image(**image)
        if robot.peer.until(lambda: robot.count("frames_in") > before, 1.0):
            return
    raise AssertionError(f"no image came: {robot.diagnostics}")


def centre(robot, frame: str, point, **image) -> np.ndarray:
    """Centre x, y in pixels of the mask that a click gives: the bundle draws a disc around it."""
    see(robot, **image)
    masks = robot.peer.listen(Image, robot.topic("mask"))
    robot.peer.until(lambda: False, 0.2)
    del masks[:]
    click(robot, frame, point)
    assert robot.peer.until(lambda: any(pixels(mask).any() for mask in masks), 600), robot.diagnostics
    found = pixels(next(mask for mask in masks if pixels(mask).any())) > 0
    return np.argwhere(found).mean(0)[::-1]


def rejection(robot, frame: str, point, **image) -> str:
    """What the diagnostics say of a click that cannot be used."""
    see(robot, **image)
    before = robot.count("bad_prompts")
    click(robot, frame, point)
    assert robot.peer.until(lambda: robot.count("bad_prompts") == before + 1), robot.diagnostics
    return robot.diagnostics["last_error"]


def test_a_point_on_the_map_projects_into_the_moving_camera(robot):
    robot.peer.keep_publishing("/camera_info", info())
    for x, degrees in ((1.0, 0.0), (2.0, 5.0)):
        drive(robot, robot.stamp + 1, x, degrees)
        # 4 m ahead of the robot's origin at x, 0.2 m to its left, 0.1 m above the camera.
        turn = math.radians(degrees)
        ahead = np.array(
            [4 * math.cos(turn) - 0.2 * math.sin(turn), 4 * math.sin(turn) + 0.2 * math.cos(turn)]
        )
        found = centre(robot, "map", (x + ahead[0], ahead[1], 0.6))
        np.testing.assert_allclose(found, (64 - FOCAL * 0.2 / 4, 48 - FOCAL * 0.1 / 4), atol=1.0)


def test_the_lens_bends_the_ray(robot):
    robot.peer.keep_publishing("/camera_info", info(DISTORTION))
    point = np.array([0.9, -0.5, 2.0])
    matrix = np.array([[FOCAL, 0, 64], [0, FOCAL, 48], [0, 0, 1.0]])
    empty = np.zeros(3)
    expected = cv2.projectPoints(point[None], empty, empty, matrix, np.array(DISTORTION))[0].ravel()
    assert np.linalg.norm(expected - (64 + 45, 48 - 25)) > 1.5  # it would show if it were left out
    np.testing.assert_allclose(centre(robot, "camera_7", point), expected, atol=1.0)


def test_points_out_of_view_are_reported(robot):
    robot.peer.keep_publishing("/camera_info", info())
    drive(robot, robot.stamp + 1, 0.0)
    assert "clicked_point: the point lies behind the camera (-2.00 m" in rejection(
        robot, "base_link", (-2, 0, 0.5)
    )
    outside = rejection(robot, "base_link", (2, 5, 0.5))
    assert "outside of the image: pixel (-186, 48) of 128 x 96" in outside
    assert "no transform from 'moon' to 'camera_7'; frames known: base_link, camera_7, map" in rejection(
        robot, "moon", (1, 0, 0)
    )
    assert "expected finite metres" in rejection(robot, "map", (math.nan, 0, 0))
    assert "has no frame_id" in rejection(robot, "", (1, 0, 0))


def test_an_image_of_another_size_than_its_calibration(robot):
    """Of half the size: by binning it is known what the image shows; without, nothing can be told."""
    half = np.full((HEIGHT // 2, WIDTH // 2, 3), 90, np.uint8)
    robot.peer.keep_publishing("/camera_info", info())
    drive(robot, robot.stamp + 1, 0.0)
    error = rejection(robot, "camera_7", (0.4, 0.2, 2.0), image=half)
    assert "camera_info describes 128x96 pixels, the image has 64x48" in error
    binned = info()
    binned.binning_x = binned.binning_y = 2
    robot.peer.keep_publishing("/camera_info", binned)
    found = centre(robot, "camera_7", (0.4, 0.2, 2.0), image=half)
    np.testing.assert_allclose(found, ((64 + 20 - 0.5) / 2, (48 + 10 - 0.5) / 2), atol=0.7)


def test_a_transform_that_makes_no_sense_is_refused_and_survived(robot):
    broken = transform("map", "base_link", (0, 0, 0), (0, 0, 0, 0), robot.stamp)
    robot.peer.publish("/tf", tf2_msgs.TFMessage(transforms=[broken]))
    assert robot.peer.until(lambda: robot.count("bad_transforms") == 1)
    assert "/tf: transform from 'map' to 'base_link'" in robot.diagnostics["last_error"]


def test_without_calibration_the_click_is_rejected(robots):
    robot = robots(enable_3d_clicks=True)
    robot.wait_state("active")
    assert "no camera_info was received recently" in rejection(robot, "camera_7", (0, 0, 1))
