# SPDX-License-Identifier: Apache-2.0
"""Start the segmenter, and on request a camera, RViz and rqt.

    ros2 launch evitsam_ros segmenter.launch.py image:=/camera/image_raw mode:=everything

The other launch files of this package include this one: its arguments are theirs too.
"""

import math
import re
import tempfile
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from evitsam_ros.backends import PRECISION_CHOICES, backend_choices
from launch import LaunchDescription

CONFIG = PathJoinSubstitution([FindPackageShare("evitsam_ros"), "config"])
BOOLEAN = ["true", "false", "True", "False"]
#: Parameters that have an argument of their own: (type, choices, description). Left out, params_file decides.
OVERRIDES = {
    "model": (str, [], "bundle: a name or a folder"),
    "semantic_model": (str, [], "semantic bundle; its classes name the masks"),
    "backend": (str, list(backend_choices()), "runtime of the networks"),
    "precision": (str, list(PRECISION_CHOICES), "precision of the networks"),
    "mode": (
        str,
        ["prompt", "everything", "on_request"],
        "segment prompted objects, everything, or on request",
    ),
    "max_prompts": (int, [], "maximum number of prompts to decode in everything mode"),
    "image_transport": (str, ["raw", "compressed"], "how images come"),
    "depth_transport": (str, ["raw", "compressedDepth", "compressed"], "how depth comes"),
    "reliability": (str, ["best_effort", "reliable"], "QoS of the image subscription"),
    "overlay_ids": (bool, BOOLEAN, "the objects' ids in the overlay, where there is room"),
    "filled_boxes": (bool, BOOLEAN, "faces on the boxes in RViz, which catch clicks"),
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
    "source": ("/dev/video0", [], "source of the desk camera: device, video, bag, image or folder"),
    "rate": ("", [], "frames a second of the desk camera; default: as in params_file"),
    "compose": ("false", BOOLEAN, "desk camera and segmenter in one process, without DDS between them"),
    "web": ("false", BOOLEAN, "serve a page to watch and prompt the segmenter: http://127.0.0.1:8765/"),
    "rviz": ("false", BOOLEAN, "start RViz"),
    "rviz_transport": (
        "raw",
        ["raw", "compressed"],
        "how masks and overlays come to RViz; compressed: for Wi-Fi, JPEG and PNG",
    ),
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
SHOWN = ("overlay", "mask", "label_map", "points", "boxes_3d", "pixel")
#: Those that image_transport carries, and the lines of a layout that name them.
IMAGES = ("overlay", "mask", "label_map")
IMAGE_TOPIC = re.compile(rf"^(\s*Value: \S+/(?:{'|'.join(IMAGES)}))\s*$", re.MULTILINE)


def create_nodes(context) -> list[Node]:
    """Create the segmenter and the desk cameras, or both composed, and the windows that show them.

    Every check comes before the first node is returned, because launch leaves started nodes running.

    Raises:
        ValueError: An argument cannot be used; the message names it.
    """
    arguments = renamed({name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS})
    cameras = [name.strip() for name in arguments["cameras"].split(",") if name.strip()]
    check(arguments, cameras)
    overrides = parameter_overrides(arguments, {name: kind for name, (kind, _, _) in OVERRIDES.items()})
    if cameras:
        overrides["cameras"] = cameras
    remappings = [*input_remappings(arguments, cameras), ("clicked_point", arguments["clicked_point"])]
    desk = parameter_overrides(arguments, CAMERA)
    if is_true(arguments["compose"]):
        started = [composed_node(arguments, cameras, overrides | desk, remappings)]
    else:
        started = [package_node("segmenter", arguments, overrides, remappings, name="segmenter")]
        if is_true(arguments["web"]):
            clock = parameter_overrides(arguments, {"use_sim_time": bool})
            started.append(package_node("web", arguments, clock, [], name="web"))
        if is_true(arguments["camera"]):
            started += [camera_node(arguments, name, desk) for name in cameras or [""]]
    return [*started, *gui_nodes(arguments, cameras)]


def renamed(arguments: dict[str, str]) -> dict[str, str]:
    """Return the arguments with deprecated ones under their new names; warn of each."""
    for old, new in RENAMED.items():
        if arguments[old]:
            get_logger("evitsam_ros").warning(f"{old}:={arguments[old]} is deprecated; use {new}:=")
            arguments[new] = arguments[new] or arguments[old]
    return arguments


def is_true(text: str) -> bool:
    """Return whether a launch argument is "true", in any case of its letters."""
    return text.lower() == "true"


def check(arguments: dict[str, str], cameras: list[str]) -> None:
    """Check names and files.

    Raises:
        ValueError: One cannot be used; the message names the argument.
    """
    shapes = {name: (TOPIC, "a topic, as /camera/image_raw") for name in TOPICS if name in arguments}
    shapes |= (
        {"namespace": (NAMESPACE, "a namespace, as robot or /robot/arm")} if arguments["namespace"] else {}
    )
    for name, (shape, expected) in shapes.items():
        if not shape.fullmatch(arguments[name]):
            raise ValueError(f"{name}:={arguments[name]!r}: expected {expected}")
    if len(set(cameras)) < len(cameras) or not all(map(CAMERA_NAME.fullmatch, cameras)):
        raise ValueError(
            f"cameras:={arguments['cameras']!r}: expected different names with commas between them, each of "
            "letters, digits and _, a letter first"
        )
    for name in ("params_file", *(["rviz_config"] if is_true(arguments["rviz"]) else [])):
        if not Path(arguments[name]).is_file():
            raise ValueError(f"{name}:={arguments[name]!r}: expected a file; this one does not exist")


def parameter_overrides(arguments: dict[str, str], kinds: dict[str, type]) -> dict:
    """Return the parameters from the command line."""
    return {
        name: parse_argument(name, arguments[name], kind) for name, kind in kinds.items() if arguments[name]
    }


def parse_argument(name: str, text: str, kind: type) -> ParameterValue | bool | int | float:
    """Convert an argument to the type of its parameter.

    Raises:
        ValueError: It is not a finite number; the message names the argument.
    """
    if kind is str:  # without a type, launch would make a number of the device "0"
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


def input_remappings(arguments: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """Return the remappings of the inputs; with several cameras, those of each below its name."""
    image = arguments["image"]
    pairs = {"image": image, "image/compressed": f"{image}/compressed", "depth": arguments["depth_image"]}
    pairs |= {name: arguments[name] for name in ("camera_info", "depth_camera_info")}
    if not cameras:
        return list(pairs.items())
    return [(f"{name}/{a}", f"{name}/{b.lstrip('/')}") for name in cameras for a, b in pairs.items()]


def package_node(
    executable: str,
    arguments: dict[str, str],
    parameters: dict,
    remappings: list,
    flags: tuple[str, ...] = (),
    **more,
) -> Node:
    """Return a node of this package with the parameter file and the overrides."""
    return Node(
        package="evitsam_ros",
        executable=executable,
        output="screen",
        parameters=[arguments["params_file"], *([parameters] if parameters else [])],
        remappings=remappings,
        arguments=flags,
        **{"namespace": arguments["namespace"] or None, **more},
    )


def composed_node(arguments: dict[str, str], cameras: list[str], parameters: dict, remappings: list) -> Node:
    """Return the process that has both nodes; a name or a namespace would apply to all of them.

    Raises:
        ValueError: Several cameras are given together with a namespace.
    """
    if cameras and arguments["namespace"]:
        raise ValueError(
            f"compose gives each of cameras:={arguments['cameras']} its namespace: expected no namespace:="
            f"{arguments['namespace']}"
        )
    images = camera_remappings(arguments, below=True) if cameras else []
    flags = ("--web",) if is_true(arguments["web"]) else ()
    return package_node("compose", arguments, parameters, remappings + images, flags)


def camera_node(arguments: dict[str, str], name: str, parameters: dict) -> Node:
    """Return the desk camera; one of several publishes below its name."""
    return package_node(
        "camera",
        arguments,
        parameters,
        camera_remappings(arguments, below=bool(name)),
        name="camera",
        namespace="/".join(part for part in (arguments["namespace"], name) if part) or None,
    )


def camera_remappings(arguments: dict[str, str], *, below: bool) -> list[tuple[str, str]]:
    """Return the remappings of the desk camera.

    Args:
        arguments: Launch arguments.
        below: The image topic is relative to the camera's name.
    """
    names = {"image": "image", "depth": "depth_image", "camera_info": "camera_info"}
    topics = {name: arguments[argument] for name, argument in names.items()}
    if below:
        topics = {name: topic.lstrip("/") for name, topic in topics.items()}
    return [*topics.items(), ("image/compressed", f"{topics['image']}/compressed")]


def gui_nodes(arguments: dict[str, str], cameras: list[str]) -> list[Node]:
    """Return RViz and rqt, remapped: their layouts name the topics without a namespace."""
    below = [f"{name}/" for name in cameras] or [""]
    topics = [f"segmenter/{each}{topic}" for each in below for topic in SHOWN]
    topics += [f"{topic}/compressed" for topic in topics if topic.endswith(IMAGES)]
    remappings = [(f"/{topic}", topic) for topic in topics]
    inputs = input_remappings(arguments, cameras)
    remappings += [(f"/{a}", b) for a, b in inputs if a.endswith(("image", "depth"))]
    layout = ["-d", rviz_layout(arguments), *(["-f", arguments["frame"]] if arguments["frame"] else [])]
    perspective = ["--perspective-file", [CONFIG, "/segmenter.perspective"]]
    options = {"rviz": layout, "rqt": perspective}
    clock = parameter_overrides(arguments, {"use_sim_time": bool})
    return [
        Node(
            package=package,
            executable=package,
            namespace=arguments["namespace"] or None,
            arguments=options[name],
            parameters=[clock] if clock else [],
            remappings=remappings,
        )
        for name, package in WINDOWS.items()
        if is_true(arguments[name]) and is_installed(name, package)
    ]


def rviz_layout(arguments: dict[str, str]) -> str:
    """Return the layout of RViz; for compressed images a copy of it with their topics, in a temporary folder.

    RViz takes the transport from the topic's name.
    """
    layout = Path(arguments["rviz_config"])
    if arguments["rviz_transport"] == "raw" or not is_true(arguments["rviz"]):
        return str(layout)
    copy = Path(tempfile.mkdtemp(prefix="evitsam_rviz_")) / layout.name
    copy.write_text(IMAGE_TOPIC.sub(r"\1/compressed", layout.read_text()))
    return str(copy)


def is_installed(name: str, package: str) -> bool:
    """Return whether the package of a window is installed; log a warning if not."""
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
    """Declare the arguments, and create the nodes once these are known."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, choices=choices or None, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=create_nodes)])
