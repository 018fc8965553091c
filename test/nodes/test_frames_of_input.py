# SPDX-License-Identifier: Apache-2.0
"""Pixels and calibrations of another camera's frame are rejected by name; no frame is any camera's."""

from types import SimpleNamespace

import pytest
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from evitsam_ros.geometry3d import CalibrationError
from evitsam_ros.nodes.calibration import Calibration
from evitsam_ros.nodes.prompt_topics import PromptTopics

from .prompting import detection, vision_msgs

SAME, OTHER = ("camera", "/camera", ""), ("rear", "camera_depth")


class Entities:
    """Keeps the callbacks of subscriptions by topic."""

    def __init__(self) -> None:
        self.callbacks: dict = {}

    def subscription(self, kind, topic: str, callback, qos) -> None:
        self.callbacks[topic] = callback

    def service(self, *_: object) -> None:
        pass


@pytest.fixture
def prompted():
    """Return callbacks by topic, the topics of accepted prompts, and the errors."""
    entities, accepted, errors = Entities(), [], []
    context = SimpleNamespace(outputs="~/", report_error=lambda name, text: errors.append((name, text)))
    images = SimpleNamespace(newest=lambda: Image(header=Header(frame_id="camera")))
    pending = SimpleNamespace(submit=lambda topic, *_, **__: accepted.append(topic))
    PromptTopics(entities, context, images, pending, SimpleNamespace(select=lambda *_: False))
    return entities.callbacks, accepted, errors


@pytest.mark.parametrize("frame", [*SAME, *OTHER])
def test_detections_of_another_cameras_frame_are_rejected(prompted, frame):
    callbacks, accepted, errors = prompted
    message = vision_msgs.Detection2DArray(
        header=Header(frame_id=frame), detections=[detection(60, 40, 50, 30)]
    )
    callbacks["~/prompts"](message)
    assert accepted == (["~/prompts"] if frame in SAME else [])
    if frame in OTHER:
        ((name, text),) = errors
        assert name == "bad_prompts" and f"detections are in frame '{frame}'" in text and "'camera'" in text


@pytest.mark.parametrize("frame", [*SAME, *OTHER])
def test_clicks_follow_the_same_rule(prompted, frame):
    callbacks, accepted, errors = prompted
    callbacks["~/point"](PointStamped(header=Header(frame_id=frame)))
    assert accepted == (["~/point"] if frame in SAME else []) and len(errors) == (frame in OTHER)


@pytest.mark.parametrize("frame", [*SAME, *OTHER])
def test_a_calibration_of_another_frame_is_none_of_this_image(frame):
    entities = Entities()
    calibration = Calibration(entities, "camera_info", "best_effort", rectified=False)
    assert calibration.model("camera") is None
    k = [100.0, 0.0, 64.0, 0.0, 100.0, 48.0, 0.0, 0.0, 1.0]
    info = CameraInfo(header=Header(frame_id="camera"), width=128, height=96, k=k, distortion_model="none")
    entities.callbacks["camera_info"](info)
    if frame in SAME:
        assert calibration.model(frame).size == (96, 128)
        return
    with pytest.raises(CalibrationError, match=f"camera_info is in frame 'camera', the image in '{frame}'"):
        calibration.model(frame)
