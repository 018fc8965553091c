# SPDX-License-Identifier: Apache-2.0
"""Try points, boxes and clicks in space without a camera.

    ros2 launch evitsam_ros live.launch.py

A photograph with true depth as the camera: click on the scene in RViz (Publish Point), or on the page at
http://127.0.0.1:8765/. The parameters are in config/live.yaml.
"""

from importlib.util import find_spec

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("evitsam_ros")
#: The photograph comes with scikit-image; without it the camera shows a drawn room.
SOURCE = "scene:motorcycle" if find_spec("skimage") else "scene:room"
BOOLEAN = ["true", "false", "True", "False"]
#: Argument -> (default, choices, description).
ARGUMENTS = {
    "source": (SOURCE, [], "scene with depth: scene:motorcycle (needs scikit-image) or scene:room"),
    "camera": ("true", BOOLEAN, "start the desk camera, which shows the scene"),
    "web": ("true", BOOLEAN, "serve a page to watch and prompt the segmenter: http://127.0.0.1:8765/"),
    "rviz": ("true", BOOLEAN, "start RViz"),
    "params_file": (PathJoinSubstitution([SHARE, "config", "live.yaml"]), [], "YAML with parameters"),
    "rviz_config": (PathJoinSubstitution([SHARE, "config", "rgbd.rviz"]), [], "layout of RViz"),
}


def generate_launch_description() -> LaunchDescription:
    """Include segmenter.launch.py with a scene as the camera."""
    segmenter = PathJoinSubstitution([SHARE, "launch", "segmenter.launch.py"])
    arguments = [
        DeclareLaunchArgument(name, default_value=default, choices=choices or None, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, IncludeLaunchDescription(PythonLaunchDescriptionSource(segmenter))])
