# SPDX-License-Identifier: Apache-2.0
"""A scene in place of a camera with depth, over real DDS: points lie on the shape that was drawn."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, PointCloud2
from vision_msgs.msg import Detection2DArray

from evitsam_ros.io.scenes import ROOM_FOCAL, SPHERES
from evitsam_ros.io.sources import SourceError
from evitsam_ros.nodes.camera import open_scene_source

from .harness import Process
from .prompting import detection


def test_points_of_a_sphere_lie_on_it(robots, tmp_path):
    robot = robots(enable_depth=True, reliability="reliable")
    camera = Process("camera", robot.domain, tmp_path / "camera.log", {"source": "scene:room", "rate": 5.0})
    try:
        robot.wait_state("active")
        calibration = robot.peer.listen(CameraInfo, "/camera_info")
        clouds = robot.peer.listen(PointCloud2, robot.topic("points"))
        middle, radius = np.array(SPHERES[1][0]), SPHERES[1][1]
        x, y = 319.5 + ROOM_FOCAL * middle[0] / middle[2], 239.5 + ROOM_FOCAL * middle[1] / middle[2]
        robot.peer.publish(
            robot.topic("prompts"), Detection2DArray(detections=[detection(x, y, 60, 60, name="ball")])
        )
        assert robot.peer.until(lambda: clouds and clouds[-1].width > 100, 200), robot.diagnostics
        message = clouds[-1]
        assert message.header.frame_id == "camera_optical_frame" and calibration[-1].k[0] == ROOM_FOCAL
        raw = np.frombuffer(bytes(message.data), np.uint8).reshape(message.width, message.point_step)
        points = np.ascontiguousarray(raw[:, :12]).view(np.float32)
        np.testing.assert_allclose(np.linalg.norm(points - middle, axis=1), radius, atol=0.003)
    finally:
        assert camera.stop() in (0, 2), camera.output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"source": "scene:kitchen"}, "expected one of motorcycle, room"),
        ({"source": "scene:room", "motion": 0.1}, "parameter motion is 0.1; expected 0"),
        ({"source": "scene:room", "width": 320}, "parameter width is 320; expected 0"),
    ],
)
def test_options_that_contradict_the_calibration_are_rejected(options, text):
    with pytest.raises(SourceError, match=text):
        open_scene_source({"motion": 0.0, "width": 0} | options)
