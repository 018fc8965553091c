# SPDX-License-Identifier: Apache-2.0
"""Segment several cameras in one process.

    ros2 launch evitsam_ros multi_camera.launch.py cameras:=front,rear image:=image_raw

Several cameras, one process, one engine, with config/multi_camera.yaml: NAME/image_raw of each camera comes
in, /segmenter/NAME/label_map goes out.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("evitsam_ros")
#: Argument -> (default, description).
ARGUMENTS = {
    "cameras": ("front,rear", "names with commas between them; the topics of each are below its name"),
    "params_file": (PathJoinSubstitution([SHARE, "config", "multi_camera.yaml"]), "YAML with parameters"),
    "rviz_config": (
        PathJoinSubstitution([SHARE, "config", "multi_camera.rviz"]),
        "layout of RViz; the default is for cameras front and rear",
    ),
}


def generate_launch_description() -> LaunchDescription:
    """Include segmenter.launch.py with the arguments for several cameras."""
    segmenter = PathJoinSubstitution([SHARE, "launch", "segmenter.launch.py"])
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, IncludeLaunchDescription(PythonLaunchDescriptionSource(segmenter))])
