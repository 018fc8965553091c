# SPDX-License-Identifier: Apache-2.0
"""Start the semantic node, and on request a camera and RViz.

    ros2 launch evitsam_ros semantic.launch.py image:=/camera/image_raw rviz:=true

The parameters are in config/semantic.yaml.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

#: The functions of the launch file beside this one: a launch file is no module that could be imported.
shared = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("segmenter.launch.py"))))

CONFIG = PathJoinSubstitution([FindPackageShare("evitsam_ros"), "config"])
BOOLEAN = shared.BOOLEAN
#: Parameters that have an argument of their own: (type, choices, description). Left out, params_file decides.
OVERRIDES = {
    "model": (str, [], "semantic bundle: a name or a folder"),
    "resolution": (str, ["image", "network"], "resolution of the outputs"),
    "score_threshold": (float, [], "pixels of less confidence are void"),
    "tiles": (bool, BOOLEAN, "large images in overlapping tiles of the network's input, not scaled to it"),
    **{
        name: shared.OVERRIDES[name]
        for name in (
            *("backend", "precision", "image_transport", "depth_transport", "reliability"),
            *("enable_depth", "use_sim_time"),
        )
    },
}
#: Arguments that this file has in common with segmenter.launch.py.
COMMON = (
    *("image", "depth_image", "camera_info", "depth_camera_info", "namespace", "camera", "source", "rate"),
    *("rviz", "frame"),
)
#: Argument -> (default, choices, description).
ARGUMENTS = {
    **{name: shared.ARGUMENTS[name] for name in COMMON},
    "params_file": ([CONFIG, "/semantic.yaml"], [], "YAML with parameters"),
    "rviz_config": ([CONFIG, "/semantic.rviz"], [], "layout of RViz"),
    "compose": ("false", BOOLEAN, "desk camera and semantic node in one process, without DDS between them"),
    **{
        name: ("", ["", *choices] if choices else [], f"{text}; default: as in params_file")
        for name, (_, choices, text) in OVERRIDES.items()
    },
}
#: Outputs that the layout of RViz names.
SHOWN = ("overlay", "confidence", "points")


def create_nodes(context) -> list[Node]:
    """Create the semantic node and the desk camera, or both composed, and RViz.

    Raises:
        ValueError: An argument cannot be used; the message names it.
    """
    arguments = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    shared.check(arguments, [])
    kinds = {name: kind for name, (kind, _, _) in OVERRIDES.items()}
    overrides = shared.parameter_overrides(arguments, kinds)
    remappings = shared.input_remappings(arguments, [])
    desk = shared.parameter_overrides(arguments, shared.CAMERA)
    if shared.is_true(arguments["compose"]):
        flags = ("--semantic", "--no-segmenter")
        started = [
            shared.package_node("compose", arguments, overrides | desk, remappings, flags=flags),
        ]
    else:
        started = [shared.package_node("semantic", arguments, overrides, remappings, name="semantic")]
        if shared.is_true(arguments["camera"]):
            started.append(shared.camera_node(arguments, "", desk))
    return [*started, *rviz_nodes(arguments)]


def rviz_nodes(arguments: dict[str, str]) -> list[Node]:
    """Return RViz if it is asked for and installed, remapped: its layout has no namespace."""
    if not (shared.is_true(arguments["rviz"]) and shared.is_installed("rviz", "rviz2")):
        return []
    remappings = [(f"/semantic/{topic}", f"semantic/{topic}") for topic in SHOWN]
    remappings.append(("/image", arguments["image"]))
    clock = shared.parameter_overrides(arguments, {"use_sim_time": bool})
    frame = ["-f", arguments["frame"]] if arguments["frame"] else []
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=arguments["namespace"] or None,
            arguments=["-d", arguments["rviz_config"], *frame],
            parameters=[clock] if clock else [],
            remappings=remappings,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments, and create the nodes once these are known."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, choices=choices or None, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=create_nodes)])
