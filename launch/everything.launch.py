# SPDX-License-Identifier: Apache-2.0
"""Segment all objects in view.

    ros2 launch evitsam_ros everything.launch.py image:=/camera/image_raw rviz:=true

All objects in view, with config/everything.yaml.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("evitsam_ros")


def generate_launch_description() -> LaunchDescription:
    """Include segmenter.launch.py with the parameters of everything mode."""
    segmenter = PathJoinSubstitution([SHARE, "launch", "segmenter.launch.py"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "everything.yaml"]),
                description="YAML with parameters",
            ),
            DeclareLaunchArgument(
                "mode",
                default_value="everything",
                choices=["prompt", "everything", "on_request"],
                description="segment prompted objects, everything, or on request",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(segmenter)),
        ]
    )
