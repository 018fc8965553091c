# SPDX-License-Identifier: Apache-2.0
"""The examples that talk to a segmenter node, over real DDS; one node answers all of them."""

import re
import threading

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("vision_msgs", reason="vision_msgs is not built")

from ..nodes.harness import Robots

pytestmark = pytest.mark.ros
BOX = (35, 25, 85, 55)


@pytest.fixture(scope="module")
def camera(tmp_path_factory, known_bundle):
    """Return a robot that receives images all the time, in a thread that owns its peer."""
    robots = Robots(tmp_path_factory.mktemp("logs"), known_bundle)
    robot = robots(history_s=60.0)
    robot.wait_state("active")
    ended = threading.Event()

    def publish() -> None:
        while not ended.is_set():
            robot.send_image()
            robot.peer.until(ended.is_set, 0.2)

    thread = threading.Thread(target=publish)
    thread.start()
    yield robot
    ended.set()
    thread.join()
    robots.close()


def test_a_prompt_gives_the_mask_of_the_box(run_example, camera, tmp_path):
    run_example("prompt_and_save.py", "--box", *BOX, "--timeout", 500, ROS_DOMAIN_ID=str(camera.domain))
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    truth = np.zeros((96, 128), bool)
    truth[25:55, 35:85] = True
    assert ((mask > 0) & truth).sum() / ((mask > 0) | truth).sum() > 0.9


def test_a_request_gives_the_disc_around_the_point(run_example, camera):
    pytest.importorskip("evitsam_interfaces", reason="evitsam_interfaces is not built")
    words = ("--point", 64, 48, "--timeout", 500)
    output = run_example("request_by_service.py", *words, ROS_DOMAIN_ID=str(camera.domain))
    x0, y0, x1, y1 = map(float, re.search(r"box \[(.*)\]", output)[1].split(","))
    assert abs((x0 + x1) / 2 - 64) < 3 and abs((y0 + y1) / 2 - 48) < 3


def test_a_rejected_request_ends_with_the_reason(run_example, camera):
    pytest.importorskip("evitsam_interfaces", reason="evitsam_interfaces is not built")
    words = ("--point", 500, 3, "--timeout", 500)
    output = run_example("request_by_service.py", *words, code=1, ROS_DOMAIN_ID=str(camera.domain))
    assert "point (500, 3) is outside the image" in output
