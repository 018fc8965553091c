# SPDX-License-Identifier: Apache-2.0
"""ros2 launch evitsam_ros segmenter.launch.py image:=/camera/image_raw mode:=everything"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

#: Parameters that have an argument of their own: (type, what they may be). Left out, params_file decides.
OVERRIDES = {
    "model": (str, "bundle: a name or a folder"),
    "backend": (str, "auto, tensorrt, onnxruntime, openvino, openvino_bf16 or torch"),
    "mode": (str, "prompt or everything"),
    "top_n": (int, "prompts to decode in everything mode"),
    "image_transport": (str, "raw or compressed"),
    "reliability": (str, "best_effort or reliable"),
    "depth": (bool, "true: points and boxes in space, from depth and camera_info"),
}
#: Argument -> (default, description).
ARGUMENTS = {
    "image": ("image", "image topic to segment"),
    "depth_image": ("depth", "topic of depth aligned with the image"),
    "camera_info": ("camera_info", "topic of the image's calibration"),
    "namespace": ("", "namespace of the nodes"),
    "params_file": ("", "YAML with parameters; default: config/segmenter.yaml of this package"),
    "rviz": ("false", "start RViz with config/segmenter.rviz"),
    "camera": ("false", "start the desk camera too"),
    "source": ("/dev/video0", "what the desk camera shows: device, video, bag, picture or folder"),
    "rate": ("10.0", "frames a second of the desk camera"),
    **{name: ("", f"{text}; default: as in params_file") for name, (_, text) in OVERRIDES.items()},
}


def segmenter(context) -> list[Node]:
    """The node with the parameters of the file, and those that were given on the command line on top."""
    said = {name: LaunchConfiguration(name).perform(context) for name in OVERRIDES}
    overrides = {n: ParameterValue(v, value_type=OVERRIDES[n][0]) for n, v in said.items() if v}
    image = LaunchConfiguration("image")
    node = Node(
        package="evitsam_ros",
        executable="segmenter",
        name="segmenter",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[LaunchConfiguration("params_file"), *([overrides] if overrides else [])],
        remappings=[
            ("image", image),
            ("image/compressed", [image, "/compressed"]),
            ("depth", LaunchConfiguration("depth_image")),
            ("camera_info", LaunchConfiguration("camera_info")),
        ],
    )
    return [node]


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare("evitsam_ros")
    defaults = PathJoinSubstitution([share, "config", "segmenter.yaml"])
    arguments = [
        DeclareLaunchArgument(
            name, default_value=defaults if name == "params_file" else default, description=text
        )
        for name, (default, text) in ARGUMENTS.items()
    ]
    camera = Node(
        package="evitsam_ros",
        executable="camera",
        name="camera",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        condition=IfCondition(LaunchConfiguration("camera")),
        # A device may be given by its number alone, and is a string all the same.
        parameters=[
            {
                "source": ParameterValue(LaunchConfiguration("source"), value_type=str),
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
            }
        ],
        remappings=[("image", LaunchConfiguration("image"))],
    )
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        name="rviz",
        condition=IfCondition(LaunchConfiguration("rviz")),
        arguments=["-d", PathJoinSubstitution([share, "config", "segmenter.rviz"])],
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=segmenter), camera, rviz])
