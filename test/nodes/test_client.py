# SPDX-License-Identifier: Apache-2.0
"""The Python client and ``evitsam ask`` against a node with two cameras that computes only on request."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from evitsam_ros.segment import Prompt

pytest.importorskip("evitsam_interfaces", reason="evitsam_interfaces is not built")
client = pytest.importorskip("evitsam_ros.nodes.client")
TRUTH = np.zeros((96, 128), bool)
TRUTH[25:55, 35:85] = True
BOX = (35, 25, 85, 55)


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(cameras="[front, rear]", mode="on_request", history_s=60.0)
    made.wait_state("active")
    made.peer.listen(Image, made.topic("front/mask"))
    before = made.count("frames_in")
    while made.count("frames_in") <= before:
        made.send_image(topic="/front/image")
        made.peer.until(lambda: made.count("frames_in") > before, 1.0)
    return made


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_client_returns_full_masks(robot):
    with client.SegmenterClient(camera="front", domain_id=robot.domain) as connection:
        answer = connection.segment([Prompt.parse(box=BOX), Prompt.parse(points=[(64, 48)])])
        assert [item.identity for item in answer.objects] == [1, 2]
        assert answer.size == (96, 128) and answer.frame_id == "camera_7"
        assert iou(answer.objects[0].mask, TRUTH) > 0.95
        assert iou(answer.mask, answer.objects[0].mask | answer.objects[1].mask) == 1.0
        image = np.full((48, 64, 3), 90, np.uint8)
        assert connection.segment([Prompt.parse(box=(8, 8, 40, 40))], image=image).size == (48, 64)
        with pytest.raises(client.RequestFailedError, match=r"point \(500, 3\) is outside the image"):
            connection.segment([Prompt.parse(points=[(500, 3)])])
        assert connection.segment(everything=True).objects


def test_client_of_a_camera_without_images_reports_it_in_time(robot):
    with (
        client.SegmenterClient(camera="rear", domain_id=robot.domain) as connection,
        pytest.raises(client.RequestFailedError, match="no image has arrived"),
    ):
        connection.segment([Prompt.parse(box=BOX)], timeout=0.5)


def test_missing_service_names_those_that_are_there(robot, monkeypatch):
    monkeypatch.setattr(client, "DISCOVERY", 3.0)
    with pytest.raises(client.RequestFailedError) as error:
        client.SegmenterClient(camera="left", domain_id=robot.domain)
    assert "/segmenter/left/segment" in str(error.value) and "/segmenter/front/segment" in str(error.value)


def ask(robot, *words: str, cwd) -> subprocess.CompletedProcess:
    environment = os.environ | {"ROS_DOMAIN_ID": str(robot.domain)}
    command = [sys.executable, "-m", "evitsam_ros.cli", "ask", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=600)


def test_command_writes_the_mask(robot, tmp_path):
    words = ("--box", ",".join(map(str, BOX)), "--camera", "front", "--out", "mask.png", "--json", "-")
    result = ask(robot, *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (96, 128) and set(np.unique(mask)) == {0, 255}
    assert iou(mask == 255, TRUTH) > 0.95
    report = json.loads(result.stdout)
    assert report["masks"][0]["box"] == pytest.approx(BOX, abs=2.5) and "1 masks" in result.stderr


def test_command_explains_a_rejected_request_in_one_line(robot, tmp_path):
    result = ask(robot, "--point", "500,3", "--camera", "front", "--out", "mask.png", cwd=tmp_path)
    assert result.returncode == 1 and not (tmp_path / "mask.png").exists()
    (line,) = result.stderr.splitlines()
    assert line.startswith("evitsam ask: /segmenter/front/segment: ") and "outside the image" in line
