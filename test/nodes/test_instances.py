# SPDX-License-Identifier: Apache-2.0
"""Instances, class names and ids over real DDS, with a camera whose geometry is known."""

import cv2
import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from evitsam_ros.nodes.messages import image_message

from .harness import pixels, transform
from .prompting import detection, prompt, vision_msgs

interfaces = pytest.importorskip("evitsam_interfaces.msg", reason="evitsam_interfaces is not built")
tf2_msgs = pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not built")
WIDTH, HEIGHT, FOCAL = 160, 120, 100.0


def info() -> CameraInfo:
    k = [FOCAL, 0.0, 80.0, 0.0, FOCAL, 60.0, 0.0, 0.0, 1.0]
    p = [FOCAL, 0.0, 80.0, 30.0, 0.0, FOCAL, 60.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    return CameraInfo(width=WIDTH, height=HEIGHT, k=k, p=p, distortion_model="plumb_bob", d=[0.0] * 5)


def answers(robot, *topics: tuple[str, type], with_depth: bool = False) -> list:
    """The messages on these topics for one image that is sent now."""
    heard = {name: robot.peer.listen(kind, robot.topic(name)) for name, kind in topics}
    robot.peer.keep_publishing("/camera_info", info())
    for _ in range(60):
        if with_depth:
            wall = image_message(info().header, np.full((HEIGHT, WIDTH), 2000, np.uint16), "16UC1")
            wall.header.stamp.sec = robot.stamp + 1
            robot.peer.publish("/depth", wall)
            robot.peer.until(lambda: False, 0.1)
        stamp = robot.send_image(image=np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).header.stamp.sec
        robot.peer.until(lambda: len(of_image(heard, stamp)) == len(heard), 1.0)  # noqa: B023
        if len(found := of_image(heard, stamp)) == len(heard):
            return [found[name] for name, _ in topics]
    raise AssertionError(f"{robot.diagnostics}\n{robot.process.output}")


def of_image(heard: dict[str, list], stamp: int) -> dict[str, object]:
    return {name: m for name, messages in heard.items() for m in messages if m.header.stamp.sec == stamp}


def scored(message, score: float):
    message.results[0].hypothesis.score = score
    return message


def full(message, instance) -> np.ndarray:
    """Put the cropped mask into an image, by the definition of RegionOfInterest."""
    roi, mask = instance.roi, np.zeros((message.height, message.width), bool)
    part = pixels(instance.mask).reshape(roi.height, roi.width)
    mask[roi.y_offset : roi.y_offset + roi.height, roi.x_offset : roi.x_offset + roi.width] = part == 255
    return mask


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_depth=True, enable_tracking=False, target_frame="base_link")
    made.wait_state("active")
    return made


def test_place_is_left_out_and_reported_without_a_transform(robot):
    prompt(robot, detection(100, 60, 40, 20))
    for _ in range(60):  # the first depth may be lost
        (message,) = answers(robot, ("instances", interfaces.InstanceArray), with_depth=True)
        assert message.spatial_frame_id == "" and not message.instances[0].has_depth
        assert message.instances[0].mask.data
        if robot.peer.until(lambda: robot.count("no_transform") > 0, 1.0):
            break
    assert "'base_link'" in robot.diagnostics["last_error"]


def test_objects_have_masks_names_scores_and_places_in_the_target_frame(robot):
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    publisher = robot.peer.node.create_publisher(tf2_msgs.TFMessage, "/tf_static", latched)
    # base_link: x forward, z up; the camera half a metre above, looking forward (REP 103).
    optical = transform("base_link", "camera_7", (0.0, 0.0, 0.5), (-0.5, 0.5, -0.5, 0.5))
    publisher.publish(tf2_msgs.TFMessage(transforms=[optical]))
    cup = scored(detection(100, 60, 40, 20, identity="cup_9", name="cup"), 0.75)
    prompt(robot, cup, detection(40, 60))
    for _ in range(60):
        message, labels = answers(
            robot, ("instances", interfaces.InstanceArray), ("label_map", Image), with_depth=True
        )
        if all(each.has_depth for each in message.instances) and len(message.instances) == 2:
            break
    assert message.header.frame_id == "camera_7" and message.spatial_frame_id == "base_link"
    assert (message.height, message.width) == (HEIGHT, WIDTH)
    first, second = message.instances
    assert (first.name, first.class_name, first.prompt_score) == ("cup_9", "cup", 0.75)
    assert (second.name, second.class_name, second.prompt_score) == ("", "object", -1.0)
    assert first.score == pytest.approx(0.9)
    for each in message.instances:
        np.testing.assert_array_equal(full(message, each), pixels(labels, np.uint16) == each.id)
    place, size, turn = first.centroid, first.box_size, first.box_pose.orientation
    # 20 pixels right of the middle, two metres ahead: x ahead, y left, z up.
    np.testing.assert_allclose([place.x, place.y, place.z], [2.0, -0.4, 0.5], atol=0.06)
    centre = first.box_pose.position
    np.testing.assert_allclose([centre.x, centre.y, centre.z], [2.0, -0.4, 0.5], atol=0.06)
    np.testing.assert_allclose([size.x, size.y, size.z], [0.8, 0.4, 0.0], atol=0.2)
    longest = rotated((turn.x, turn.y, turn.z, turn.w), (1.0, 0.0, 0.0))
    np.testing.assert_allclose(np.abs(longest), [0.0, 1.0, 0.0], atol=0.05)


def test_request_with_a_reply_has_the_places_too(robot):
    from evitsam_interfaces.srv import Segment

    answers(robot, ("label_map", Image), with_depth=True)
    request = Segment.Request(prompts=[interfaces.ObjectPrompt(box=[80.0, 50.0, 120.0, 70.0])])
    for _ in range(20):  # the depth of the newest image may be lost
        reply = robot.peer.call(Segment, robot.topic("segment"), request)
        if reply.instances.instances[0].has_depth:
            break
        answers(robot, ("label_map", Image), with_depth=True)
    place = reply.instances.instances[0].centroid
    assert reply.instances.spatial_frame_id == "base_link"
    np.testing.assert_allclose([place.x, place.y, place.z], [2.0, -0.4, 0.5], atol=0.06)


def rotated(quaternion, vector) -> np.ndarray:
    """Hamilton's product q v q*, written out."""
    xyz, w, v = np.array(quaternion[:3]), quaternion[3], np.array(vector)
    return v + 2 * np.cross(xyz, np.cross(xyz, v) + w * v)


def test_class_names_and_both_scores_are_carried_through(robot):
    cup = scored(detection(100, 60, 40, 20, identity="17", name="cup"), 0.75)
    prompt(robot, cup, detection(40, 60, 20, 20))
    topics = (("detections", vision_msgs.Detection2DArray), ("detections_3d", vision_msgs.Detection3DArray))
    flat, solid = answers(robot, *topics, with_depth=True)
    for message in (flat, solid):
        results = {
            each.id: [(r.hypothesis.class_id, r.hypothesis.score) for r in each.results]
            for each in message.detections
        }
        assert set(results) == {"17", next(iter(set(results) - {"17"}))}, "a number is passed on as the id"
        (mask, found), (other,) = results["17"], results[next(iter(set(results) - {"17"}))]
        assert mask == ("cup", pytest.approx(0.9)) and found == ("cup", 0.75)
        assert other == ("object", pytest.approx(0.9))


@pytest.fixture(scope="module")
def small(robots):
    made = robots(enable_tracking=False, output_scale="network", label_encoding="mono8")
    made.wait_state("active")
    return made


def test_maps_at_the_networks_resolution_have_a_calibration_that_fits(small):
    prompt(small, detection(100, 60, 40, 20, identity="300", name="far"), detection(40, 60, 40, 20))
    topics = (
        ("label_map", Image),
        ("mask", Image),
        ("camera_info", CameraInfo),
        ("instances", interfaces.InstanceArray),
        ("detections", vision_msgs.Detection2DArray),
        ("overlay", Image),
        ("label_map/compressed", CompressedImage),
    )
    labels, mask, scaled, message, detections, overlay, packed = answers(small, *topics)
    assert packed.format.startswith("mono8; png")
    unpacked = cv2.imdecode(np.frombuffer(packed.data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(unpacked, pixels(labels))
    # 64 cells of 2.5 pixels; 120 pixels are 48 of them.
    assert (labels.height, labels.width, labels.encoding) == (48, 64, "mono8")
    assert (mask.height, mask.width) == (48, 64) == (message.height, message.width)
    assert (scaled.height, scaled.width) == (48, 64) and overlay.width == WIDTH
    truth = np.zeros((48, 64), bool)
    truth[20:28, 8:24] = True
    near = next(each for each in message.instances if each.id != 300)
    inside = full(message, near)
    assert (inside & truth).sum() / (inside | truth).sum() > 0.9
    np.testing.assert_array_equal(pixels(labels) == near.id, inside)
    np.testing.assert_allclose(near.box, [8, 20, 24, 28], atol=0.6)
    # 300 does not fit into 8 bits: it is left out of the label map and reported.
    assert set(np.unique(pixels(labels))) == {0, near.id} and (pixels(mask)[24, 40] == 255)
    assert small.peer.until(lambda: small.count("ids_left_out") > 0)
    assert "mono8" in small.diagnostics["last_error"]
    # Detections stay in pixels of the image.
    boxes = {each.id: each.bbox for each in detections.detections}
    assert boxes["300"].center.position.x == pytest.approx(100, abs=2)
    # A ray through a pixel of the image goes through the same place of the small one.
    point = np.array([0.3, -0.2, 1.5])
    for name, columns in (("k", 3), ("p", 4)):
        big, little = (np.reshape(getattr(each, name), (3, columns)) for each in (info(), scaled))
        x, y, z = big @ np.append(point, 1.0)[:columns]
        u, v, w = little @ np.append(point, 1.0)[:columns]
        # Corners of the top-left pixels agree; pixel centres are integers.
        assert (u / w + 0.5) * 2.5 == pytest.approx(x / z + 0.5)
        assert (v / w + 0.5) * 2.5 == pytest.approx(y / z + 0.5)


def test_node_runs_without_the_interfaces_and_logs_the_disabled_parts(robots):
    robot = robots(module="test.nodes.without_interfaces")
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    assert pixels(robot.answer(Image, "mask"))[40, 60] == 255
    lines = [line for line in robot.process.output.splitlines() if "evitsam_interfaces" in line]
    assert len(lines) == 1 and "~/segment" in lines[0] and "~/instances" in lines[0]
    names = [name for name, _ in robot.peer.node.get_service_names_and_types()]
    assert robot.topic("clear_prompts") in names and robot.topic("segment") not in names


def test_calibration_with_roi_and_binning_is_scaled_as_its_image():
    """A pixel of the small image sees what the pixels under it see; rays are compared by projection."""
    from evitsam_ros.geometry3d import CameraModel
    from evitsam_ros.nodes.camera_info_output import scaled_info
    from evitsam_ros.segment.mask_grid import GRIDS
    from evitsam_ros.segment.masks import Masks
    from evitsam_ros.segment.transform import Transform

    big = info()
    big.binning_x = big.binning_y = 2
    big.roi.x_offset, big.roi.y_offset, big.roi.width, big.roi.height = 16, 8, 128, 96
    transform_of_image = Transform((48, 64), 64, 64, (16, 16))  # 12 x 16 cells of 4 pixels
    masks = Masks(np.zeros((0, 16, 16), np.float32), np.zeros(0), np.zeros(0, int), transform_of_image)
    small = scaled_info(big.header, big, masks, GRIDS["network"])
    assert (small.height, small.width, small.binning_x, small.roi.width) == (12, 16, 0, 0)
    point = np.array([[0.1, -0.05, 1.5]])
    here, there = (CameraModel.from_info(each).project(point) for each in (small, big))
    np.testing.assert_allclose((here + 0.5) * 4, there + 0.5)
