# SPDX-License-Identifier: Apache-2.0
"""Segment a photograph in place of a camera's image.

    ros2 launch evitsam_ros demo.launch.py rviz:=true

A photograph as the camera, everything in it segmented, with config/demo.yaml; no camera is needed.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("evitsam_ros")


def generate_launch_description() -> LaunchDescription:
    """Include segmenter.launch.py with the demo's parameters."""
    segmenter = PathJoinSubstitution([SHARE, "launch", "segmenter.launch.py"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([SHARE, "config", "demo.yaml"]),
                description="YAML with parameters",
            ),
            DeclareLaunchArgument(
                "source",
                default_value=PathJoinSubstitution([SHARE, "demo", "pictures", "astronaut.jpg"]),
                description="source of the desk camera: device, video, bag, image or folder",
            ),
            DeclareLaunchArgument(
                "camera",
                default_value="true",
                choices=["true", "false", "True", "False"],
                description="start the desk camera too",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(segmenter)),
        ]
    )
