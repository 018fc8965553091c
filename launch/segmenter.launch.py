# SPDX-License-Identifier: Apache-2.0
"""ros2 launch evitsam_ros segmenter.launch.py image:=/camera/image_raw mode:=everything

The other launch files of this package include this one: its arguments are theirs too.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
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
    "top_n": (int, [], "prompts to decode in everything mode"),
    "image_transport": (str, ["raw", "compressed"], "how images come"),
    "depth_transport": (str, ["raw", "compressedDepth", "compressed"], "how depth comes"),
    "reliability": (str, ["best_effort", "reliable"], "QoS of the image subscription"),
    "depth": (bool, BOOLEAN, "points and boxes in space, from depth and camera_info"),
    "clicks_in_space": (bool, BOOLEAN, "prompts from RViz's Publish Point, by camera_info and tf"),
    "autostart": (bool, BOOLEAN, "configure and activate at start; false: left to a lifecycle manager"),
    "use_sim_time": (bool, BOOLEAN, "time from /clock, as when a bag is played"),
}
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
}
#: The desk camera's parameters, likewise: an argument that is empty leaves them to the file.
CAMERA = {"source": str, "rate": float}
#: Outputs that the layouts of RViz and rqt name, with the input for clicks.
SHOWN = ("overlay", "mask", "points", "boxes_3d", "pixel")


def nodes(context) -> list[Node]:
    """Segmenter and desk cameras, or both composed, and what shows them."""
    said = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    cameras = [name.strip() for name in said["cameras"].split(",") if name.strip()]
    overrides = given(said, {name: kind for name, (kind, _, _) in OVERRIDES.items()})
    if cameras:
        overrides["cameras"] = cameras
    remappings = [*inputs(said, cameras), ("clicked_point", said["clicked_point"])]
    if said["compose"].lower() == "true":
        started = [composed(said, cameras, overrides | given(said, CAMERA), remappings)]
    else:
        started = [ours("segmenter", said, overrides, remappings, name="segmenter")]
        started += [desk_camera(said, name) for name in cameras or [""]]
    return [*started, *windows(said, cameras)]


def given(said: dict[str, str], kinds: dict[str, type]) -> dict[str, ParameterValue]:
    """Parameters from the command line. A device's number, for one, is a string all the same."""
    return {
        n: ParameterValue(LaunchConfiguration(n), value_type=kind) for n, kind in kinds.items() if said[n]
    }


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


def desk_camera(said: dict[str, str], name: str) -> Node:
    """The desk camera; one of several publishes below its name."""
    return ours(
        "camera",
        said,
        given(said, CAMERA),
        published(said, bool(name)),
        name="camera",
        namespace="/".join(part for part in (said["namespace"], name) if part) or None,
        condition=IfCondition(said["camera"]),
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
    return [
        Node(
            package=package,
            executable=package,
            namespace=said["namespace"] or None,
            arguments=arguments,
            remappings=remappings,
            condition=IfCondition(said[argument]),
        )
        for argument, package, arguments in (("rviz", "rviz2", layout), ("rqt", "rqt_gui", perspective))
    ]


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(name, default_value=default, choices=choices or None, description=text)
        for name, (default, choices, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=nodes)])
