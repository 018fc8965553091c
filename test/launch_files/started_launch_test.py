# SPDX-License-Identifier: Apache-2.0
"""All launch files run by the real launch, with the desk camera: a label map comes, and all ends cleanly.

For machines with ROS 2 and the package installed: `launch_test test/launch_files/started_launch_test.py`, or
pytest, whose plug-in launch_testing brings. Elsewhere it is skipped.
"""

import time
import unittest
from pathlib import Path

import pytest

MISSING = "is not installed (it comes with ROS 2, not from the Python index)"
for module in ("rclpy", "launch_ros", "launch_testing"):
    pytest.importorskip(module, reason=f"{module} {MISSING}")
packages = pytest.importorskip("ament_index_python.packages", reason=f"ament_index_python {MISSING}")
try:
    SHARE = Path(packages.get_package_share_directory("evitsam_ros"))
except packages.PackageNotFoundError:
    pytest.skip("evitsam_ros is not installed by colcon", allow_module_level=True)

import launch_testing  # noqa: E402
import launch_testing.actions  # noqa: E402
import launch_testing.asserts  # noqa: E402
import rclpy  # noqa: E402
from launch.actions import IncludeLaunchDescription, SetLaunchConfiguration  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from launch import LaunchDescription  # noqa: E402

PICTURE = str(SHARE / "demo" / "pictures" / "astronaut.jpg")
CAMERA = {"camera": "true", "source": PICTURE, "max_prompts": "8", "mode": "everything"}
#: Launch file, its arguments, and where its label maps come.
CASES = [
    ("segmenter", CAMERA, ["/segmenter/label_map"]),
    ("segmenter", CAMERA | {"namespace": "robot"}, ["/robot/segmenter/label_map"]),
    ("everything", CAMERA, ["/segmenter/label_map"]),
    ("demo", {"max_prompts": "8"}, ["/segmenter/label_map"]),
    ("demo", {"max_prompts": "8", "compose": "true"}, ["/segmenter/label_map"]),
    ("live", {"rviz": "false"}, ["/segmenter/label_map"]),
    ("rgbd", CAMERA | {"driver": "none"}, ["/segmenter/label_map"]),
    ("multi_camera", CAMERA, ["/segmenter/front/label_map", "/segmenter/rear/label_map"]),
    (
        "multi_camera",
        CAMERA | {"compose": "true"},
        ["/segmenter/front/label_map", "/segmenter/rear/label_map", "/front/image", "/rear/image"],
    ),
]


@pytest.mark.launch_test
@launch_testing.parametrize("name, arguments, topics", CASES)
def generate_test_description(name, arguments, topics):
    source = PythonLaunchDescriptionSource(str(SHARE / "launch" / f"{name}.launch.py"))
    include = IncludeLaunchDescription(source, launch_arguments=list(arguments.items()))
    # A busy machine needs more than the 5 s after which launch sends SIGTERM, which shows in the exit code.
    patience = SetLaunchConfiguration("sigterm_timeout", "60")
    return LaunchDescription([patience, include, launch_testing.actions.ReadyToTest()])


class TestLabelMaps(unittest.TestCase):
    def test_label_maps_are_published(self, topics):
        heard = {}
        rclpy.init()
        node = rclpy.create_node("started_launch_test")
        try:
            for topic in topics:
                node.create_subscription(
                    Image, topic, lambda message, topic=topic: heard.setdefault(topic, message), 5
                )
            deadline = time.monotonic() + 120
            while len(heard) < len(topics) and time.monotonic() < deadline:
                rclpy.spin_once(node, timeout_sec=0.1)
        finally:
            node.destroy_node()
            rclpy.shutdown()
        self.assertEqual(sorted(heard), sorted(topics))
        for message in [heard[topic] for topic in topics if topic.endswith("label_map")]:
            self.assertEqual(message.encoding, "mono16")
            self.assertEqual(len(message.data), 2 * message.width * message.height)


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_all_processes_end_cleanly(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
