# SPDX-License-Identifier: Apache-2.0
"""ros2 launch evitsam_ros segmenter.launch.py image:=/camera/image_raw mode:=everything"""

from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

#: Argument -> (default, description).
ARGUMENTS = {
    "image": ("image", "image topic to segment"),
    "namespace": ("", "namespace of the nodes"),
    "params_file": ("", "YAML with parameters; empty: config/segmenter.yaml of this package"),
    "model": ("lite_sam", "bundle: a name or a folder"),
    "backend": ("auto", "auto, tensorrt, onnxruntime, openvino, openvino_bf16 or torch"),
    "mode": ("prompt", "prompt or everything"),
    "image_transport": ("raw", "raw or compressed"),
    "reliability": ("best_effort", "best_effort or reliable"),
    "rviz": ("false", "start RViz with config/segmenter.rviz"),
    "camera": ("false", "start the desk camera too"),
    "source": ("/dev/video0", "what the desk camera shows: device, video, picture or folder"),
    "rate": ("10.0", "frames a second of the desk camera"),
}
#: Parameters that have an argument of their own.
OVERRIDES = ("model", "backend", "mode", "image_transport", "reliability")


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare("evitsam_ros")
    given = {name: LaunchConfiguration(name) for name in ARGUMENTS}
    defaults = PathJoinSubstitution([share, "config", "segmenter.yaml"])
    arguments = [
        DeclareLaunchArgument(
            name, default_value=defaults if name == "params_file" else default, description=text
        )
        for name, (default, text) in ARGUMENTS.items()
    ]
    segmenter = Node(
        package="evitsam_ros",
        executable="segmenter",
        name="segmenter",
        namespace=given["namespace"],
        output="screen",
        parameters=[given["params_file"], {name: given[name] for name in OVERRIDES}],
        remappings=[
            ("image", given["image"]),
            ("image/compressed", [given["image"], "/compressed"]),
        ],
    )
    camera = Node(
        package="evitsam_ros",
        executable="camera",
        name="camera",
        namespace=given["namespace"],
        output="screen",
        condition=IfCondition(given["camera"]),
        # A device may be given by its number alone, and is a string all the same.
        parameters=[
            {
                "source": ParameterValue(given["source"], value_type=str),
                "rate": ParameterValue(given["rate"], value_type=float),
            }
        ],
        remappings=[("image", given["image"])],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        condition=IfCondition(given["rviz"]),
        arguments=["-d", PathJoinSubstitution([share, "config", "segmenter.rviz"])],
    )
    return LaunchDescription([*arguments, segmenter, camera, rviz])
