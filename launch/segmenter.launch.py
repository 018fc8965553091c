# SPDX-License-Identifier: Apache-2.0
"""ros2 launch evitsam_ros segmenter.launch.py image:=/camera/image_raw mode:=everything

The other launch files of this package include this one: its arguments are theirs too.
"""

import math
import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare("evitsam_ros"), "config"])
BOOLEAN = ["true", "false", "True", "False"]
ENGINES = ["tensorrt", "tensorrt_fp16", "tensorrt_bf16", "tensorrt_fp32", "tensorrt_int8"]
BACKENDS = ["auto", *ENGINES, "onnxruntime", "openvino", "openvino_bf16", "torch"]
#: Parameters that have an argument of their own: (type, choices, description). Left out, params_file decides.
OVERRIDES = {
    "model": (str, [], "bundle: a name or a folder"),
    "backend": (str, BACKENDS, "runtime of the networks"),
    "mode": (str, ["prompt", "everything"], "segment what is prompted, or everything"),
    "max_prompts": (int, [], "maximum number of prompts to decode in everything mode"),
    "image_transport": (str, ["raw", "compressed"], "how images come"),
    "depth_transport": (str, ["raw", "compressedDepth", "compressed"], "how depth comes"),
    "reliability": (str, ["best_effort", "reliable"], "QoS of the image subscription"),
    "enable_depth": (bool, BOOLEAN, "points and boxes in space, from depth and camera_info"),
    "enable_3d_clicks": (bool, BOOLEAN, "prompts from RViz's Publish Point, by camera_info and tf"),
    "autostart": (bool, BOOLEAN, "configure and activate at start; false: left to a lifecycle manager"),
    "use_sim_time": (bool, BOOLEAN, "time from /clock, as when a bag is played"),
}
#: Deprecated arguments, which are accepted for one release, and what they mean.
RENAMED = {"top_n": "max_prompts", "depth": "enable_depth", "clicks_in_space": "enable_3d_clicks"}
#: Argument -> (default, choices, description).
ARGUMENTS = {
    "image": ("image", [], "image topic to segment"),
    "depth_image": ("depth", [], "topic of depth aligned with the image"),
    "camera_info": ("camera_info", [], "topic of the image's calibration"),
    "depth_camera_info": (
        "depth_camera_info",
        [],
        "topic of the depth's calibration, for depth that is not aligned with the image",
    ),
    "clicked_point": ("/clicked_point", [], "topic of RViz's Publish Point"),
    "cameras": (
        "",
        [],
        "several cameras: names with commas between them; the topics above are below each name",
    ),
    "namespace": ("", [], "namespace of the nodes"),
    "params_file": ([CONFIG, "/segmenter.yaml"], [], "YAML with parameters"),
    "camera": ("false", BOOLEAN, "start the desk camera too, one for each of cameras"),
    "source": ("/dev/video0", [], "what the desk camera shows: device, video, bag, picture or folder"),
    "rate": ("", [], "frames a second of the desk camera; default: as in params_file"),
    "compose": ("false", BOOLEAN, "desk camera and segmenter in one process, without DDS between them"),
    "rviz": ("false", BOOLEAN, "start RViz"),
    "rviz_config": ([CONFIG, "/segmenter.rviz"], [], "layout of RViz"),
    "frame": ("", [], "fixed frame of RViz; default: as in rviz_config"),
    "rqt": ("false", BOOLEAN, "start rqt, where a click on the image is a prompt"),
    **{
        name: ("", ["", *choices] if choices else [], f"{text}; default: as in params_file")
        for name, (_, choices, text) in OVERRIDES.items()
    },
    **{
        old: ("", ["", *OVERRIDES[new][1]] if OVERRIDES[new][1] else [], f"deprecated: use {new}")
        for old, new in RENAMED.items()
    },
}
#: The desk camera's parameters, likewise: an argument that is empty leaves them to the file.
CAMERA = {"source": str, "rate": float, "use_sim_time": bool}
#: Arguments that are topics, and what ROS takes for one.
TOPICS = ("image", "depth_image", "camera_info", "depth_camera_info", "clicked_point")
TOPIC = re.compile(r"(~?/)?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
NAMESPACE = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Window -> the package that has it, and an executable of the same name.
WINDOWS = {"rviz": "rviz2", "rqt": "rqt_gui"}
#: Outputs that the layouts of RViz and rqt name, with the input for clicks.
SHOWN = ("overlay", "mask", "points", "boxes_3d", "pixel")


def nodes(context) -> list[Node]:
    """Segmenter and desk cameras, or both composed, and what shows them.

    Everything that can fail does so before the first of them is returned, since launch leaves those running.

    Raises:
        ValueError: an argument cannot be used.
    """
    said = renamed({name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS})
    cameras = [name.strip() for name in said["cameras"].split(",") if name.strip()]
    check(said, cameras)
    overrides = given(said, {name: kind for name, (kind, _, _) in OVERRIDES.items()})
    if cameras:
        overrides["cameras"] = cameras
    remappings = [*inputs(said, cameras), ("clicked_point", said["clicked_point"])]
    desk = given(said, CAMERA)
    if is_true(said["compose"]):
        started = [composed(said, cameras, overrides | desk, remappings)]
    else:
        started = [ours("segmenter", said, overrides, remappings, name="segmenter")]
        if is_true(said["camera"]):
            started += [desk_camera(said, name, desk) for name in cameras or [""]]
    return [*started, *windows(said, cameras)]


def renamed(arguments: dict[str, str]) -> dict[str, str]:
    """Return the arguments with deprecated ones under their new names; warn of each."""
    for old, new in RENAMED.items():
        if arguments[old]:
            get_logger("evitsam_ros").warning(f"{old}:={arguments[old]} is deprecated; use {new}:=")
            arguments[new] = arguments[new] or arguments[old]
    return arguments


def is_true(text: str) -> bool:
    return text.lower() == "true"


def check(said: dict[str, str], cameras: list[str]) -> None:
    """Raise ValueError, naming the argument, for a name or a file that cannot be used."""
    shapes = {name: (TOPIC, "a topic, as /camera/image_raw") for name in TOPICS}
    shapes |= {"namespace": (NAMESPACE, "a namespace, as robot or /robot/arm")} if said["namespace"] else {}
    for name, (shape, expected) in shapes.items():
        if not shape.fullmatch(said[name]):
            raise ValueError(f"{name}:={said[name]!r}: expected {expected}")
    if len(set(cameras)) < len(cameras) or not all(map(CAMERA_NAME.fullmatch, cameras)):
        raise ValueError(
            f"cameras:={said['cameras']!r}: expected different names with commas between them, each of "
            "letters, digits and _, a letter first"
        )
    for name in ("params_file", *(["rviz_config"] if is_true(said["rviz"]) else [])):
        if not Path(said[name]).is_file():
            raise ValueError(f"{name}:={said[name]!r}: expected a file; this one does not exist")


def given(said: dict[str, str], kinds: dict[str, type]) -> dict:
    """Return the parameters from the command line."""
    return {name: converted(name, said[name], kind) for name, kind in kinds.items() if said[name]}


def converted(name: str, text: str, kind: type) -> ParameterValue | bool | int | float:
    """Convert an argument.

    Raises:
        ValueError: naming the argument.
    """
    if kind is str:  # a device's number, for one, is a string all the same
        return ParameterValue(LaunchConfiguration(name), value_type=str)
    if kind is bool:
        return is_true(text)
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name}:={text!r}: expected {'an integer' if kind is int else 'a number'}")
    return value


def inputs(said: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """Remappings of the inputs: of the one camera, or of each of several below its name."""
    image = said["image"]
    pairs = {"image": image, "image/compressed": f"{image}/compressed", "depth": said["depth_image"]}
    pairs |= {name: said[name] for name in ("camera_info", "depth_camera_info")}
    if not cameras:
        return list(pairs.items())
    return [(f"{name}/{a}", f"{name}/{b.lstrip('/')}") for name in cameras for a, b in pairs.items()]


def ours(executable: str, said: dict[str, str], parameters: dict, remappings: list, **more) -> Node:
    return Node(
        package="evitsam_ros",
        executable=executable,
        output="screen",
        parameters=[said["params_file"], *([parameters] if parameters else [])],
        remappings=remappings,
        **{"namespace": said["namespace"] or None, **more},
    )


def composed(said: dict[str, str], cameras: list[str], parameters: dict, remappings: list) -> Node:
    """Both nodes in one process. A name or a namespace would be that of all of them."""
    if cameras and said["namespace"]:
        raise ValueError(
            f"compose gives each of cameras:={said['cameras']} its namespace: expected no namespace:="
            f"{said['namespace']}"
        )
    return ours("compose", said, parameters, remappings + (published(said, True) if cameras else []))


def desk_camera(said: dict[str, str], name: str, parameters: dict) -> Node:
    """The desk camera; one of several publishes below its name."""
    return ours(
        "camera",
        said,
        parameters,
        published(said, bool(name)),
        name="camera",
        namespace="/".join(part for part in (said["namespace"], name) if part) or None,
    )


def published(said: dict[str, str], below: bool) -> list[tuple[str, str]]:
    """Remappings of the desk camera; ``below``: in the namespace of its name."""
    image = said["image"].lstrip("/") if below else said["image"]
    return [("image", image), ("image/compressed", f"{image}/compressed")]


def windows(said: dict[str, str], cameras: list[str]) -> list[Node]:
    """RViz and rqt. Their layouts name topics without a namespace; remapped, they follow the nodes'."""
    below = [f"{name}/" for name in cameras] or [""]
    topics = [f"segmenter/{each}{topic}" for each in below for topic in SHOWN]
    remappings = [(f"/{topic}", topic) for topic in topics]
    remappings += [(f"/{a}", b) for a, b in inputs(said, cameras) if a.endswith("image")]
    layout = ["-d", said["rviz_config"], *(["-f", said["frame"]] if said["frame"] else [])]
    perspective = ["--perspective-file", [CONFIG, "/segmenter.perspective"]]
    arguments = {"rviz": layout, "rqt": perspective}
    clock = given(said, {"use_sim_time": bool})
    return [
        Node(
            package=package,
            executable=package,
            namespace=said["namespace"] or None,
            arguments=arguments[name],
            parameters=[clock] if clock else [],
            remappings=remappings,
        )
        for name, package in WINDOWS.items()
        if is_true(said[name]) and is_installed(name, package)
    ]


def is_installed(name: str, package: str) -> bool:
    """Whether a window can be started; a warning where not."""
    try:
        if (Path(get_package_prefix(package)) / "lib" / package / package).exists():
            return True
    except PackageNotFoundError:
        pass
    debian = f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
    get_logger("evitsam_ros").warning(
        f"{name}:=true: the package {package} is not installed; starting without it (apt install {debian})"
    )
    return False


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(name, default_value=default, choices=choices or None, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])
