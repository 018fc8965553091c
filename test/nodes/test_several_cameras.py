# SPDX-License-Identifier: Apache-2.0
"""One process, one engine, several cameras, over real DDS."""

import numpy as np
import pytest
from geometry_msgs.msg import Point
from sensor_msgs.msg import Image
from std_msgs.msg import UInt32
from std_srvs.srv import Trigger

from .harness import Process, pixels
from .prompting import vision_msgs


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(cameras="[front, rear]", enable_tracking=False)
    made.wait_state("active")
    return made


def status(robot, camera: str) -> dict[str, str]:
    """The newest diagnostics of a camera."""
    for entry in robot.status[-1].status if robot.status else ():
        if entry.name == f"/segmenter: segmentation {camera}":
            return {value.key: value.value for value in entry.values}
    return {}


def click(robot, camera: str, x: float, y: float) -> None:
    before = int(status(robot, camera).get("prompts_in", 0))
    robot.peer.publish(robot.topic(f"{camera}/pixel"), Point(x=x, y=y))
    assert robot.peer.until(lambda: int(status(robot, camera).get("prompts_in", 0)) > before)


def masks(robot, camera: str, seconds: float = 10.0) -> Image:
    """The answer to an image that is sent now."""
    heard = robot.peer.listen(Image, robot.topic(f"{camera}/mask"))
    first = robot.stamp + 1
    for _ in range(int(seconds)):
        robot.send_image(f"/{camera}/image")
        if robot.peer.until(lambda: any(m.header.stamp.sec >= first for m in heard), 1.0):
            return next(m for m in heard if m.header.stamp.sec >= first)
    raise AssertionError(f"no answer for {camera}: {robot.diagnostics}")


def test_every_camera_has_its_own_prompts_and_masks(robot):
    click(robot, "front", 30.0, 40.0)
    click(robot, "rear", 90.0, 50.0)
    front, rear = masks(robot, "front"), masks(robot, "rear")
    assert pixels(front)[40, 30] == 255 and pixels(front)[50, 90] == 0
    assert pixels(rear)[50, 90] == 255 and pixels(rear)[40, 30] == 0
    robot.peer.call(Trigger, robot.topic("front/clear_prompts"), Trigger.Request())
    assert not pixels(masks(robot, "front")).any()
    assert pixels(masks(robot, "rear"))[50, 90] == 255


def test_a_fast_camera_does_not_starve_a_slow_one(robot):
    fast = robot.peer.listen(Image, robot.topic("front/mask"))
    slow = robot.peer.listen(Image, robot.topic("rear/mask"))
    masks(robot, "front"), masks(robot, "rear")
    del fast[:], slow[:]
    sent = 0
    for turn in range(200):
        robot.send_image("/front/image")
        if turn % 20 == 0:
            robot.send_image("/rear/image")
            sent += 1
        robot.peer.until(lambda: False, 0.01)
    robot.peer.until(lambda: len(slow) >= sent, 3)
    assert len(slow) >= sent - 1 and len(fast) > len(slow)


def test_errors_name_their_camera(robot):
    masks(robot, "front")
    rear = int(status(robot, "rear").get("bad_images", 0))
    robot.send_image("/front/image", encoding="hsv8")
    assert robot.peer.until(lambda: status(robot, "front").get("bad_images") == "1")
    assert "front/image: encoding is 'hsv8'" in status(robot, "front")["last_error"]
    assert int(status(robot, "rear").get("bad_images", 0)) == rear


def test_an_object_is_removed_by_its_id(robot):
    for camera in ("front", "rear"):
        robot.peer.call(Trigger, robot.topic(f"{camera}/clear_prompts"), Trigger.Request())
    click(robot, "front", 30.0, 40.0)
    click(robot, "front", 90.0, 50.0)
    detections = robot.peer.listen(vision_msgs.Detection2DArray, robot.topic("front/detections"))
    masks(robot, "front")
    robot.peer.publish(robot.topic("front/remove_object"), UInt32(data=1))
    robot.peer.until(lambda: False, 0.3)
    mask = pixels(masks(robot, "front"))
    assert mask[50, 90] == 255 and mask[40, 30] == 0
    assert robot.peer.until(lambda: [d.id for d in detections[-1].detections] == ["2"], 30)
    robot.peer.publish(robot.topic("front/remove_object"), UInt32(data=7))
    text = "~/front/remove_object: no prompted object has id 7; there are: 2"
    assert robot.peer.until(lambda: text in status(robot, "front").get("last_error", ""))


@pytest.mark.parametrize(
    ("names", "text"),
    [("[front, front]", "expected different names"), ("[front/left]", "expected letters, digits and _")],
)
def test_names_that_cannot_be_are_refused_at_start(tmp_path, known_bundle, names, text):
    process = Process("segmenter", 97, tmp_path / "log", {"model": known_bundle, "cameras": names})
    assert process.process.wait(timeout=300) == 2
    assert text in process.output


def test_images_have_their_own_sizes(robot):
    for camera, size in (("front", (60, 80)), ("rear", (96, 128))):
        click(robot, camera, 30.0, 40.0)
        heard = robot.peer.listen(Image, robot.topic(f"{camera}/mask"))
        del heard[:]
        for _ in range(10):
            robot.send_image(f"/{camera}/image", np.zeros((*size, 3), np.uint8))
            if robot.peer.until(lambda heard=heard: bool(heard), 1.0):
                break
        assert (heard[-1].height, heard[-1].width) == size


def test_frames_of_several_cameras_share_an_encoder_call_and_keep_their_answers(robots, colour_bundle):
    """Each camera sees a patch of its own; what is drawn must be its own patch."""
    robot = robots(
        bundle=colour_bundle,
        module="test.nodes.batched_segmenter",
        backend="onnxruntime",
        cameras="[front, rear]",
        mode="everything",
        enable_tracking=False,
    )
    robot.wait_state("active")
    heard = {c: robot.peer.listen(Image, robot.topic(f"{c}/mask")) for c in ("front", "rear")}
    images, middles = {}, {"front": (24, 32), "rear": (72, 96)}
    for camera, (y, x) in middles.items():
        images[camera] = np.full((96, 128, 3), 90, np.uint8)
        images[camera][y - 12 : y + 12, x - 12 : x + 12] = (250, 10, 10)
    shared = "images in the call: 2"
    for _ in range(40):
        for camera, image in images.items():
            robot.send_image(f"/{camera}/image", image)
        robot.peer.until(lambda: False, 0.1)
        if robot.process.output.count(shared) > 5 and all(len(got) > 5 for got in heard.values()):
            break
    assert robot.process.output.count(shared) > 5, robot.process.output
    for camera, other in (("front", "rear"), ("rear", "front")):
        for mask in heard[camera]:
            assert pixels(mask)[middles[camera]] == 255 and pixels(mask)[middles[other]] == 0
