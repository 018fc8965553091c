# SPDX-License-Identifier: Apache-2.0
"""Publish 3D points and boxes of a camera with depth.

    ros2 launch evitsam_ros rgbd.launch.py driver:=realsense mode:=everything rviz:=true

The parameters are in config/rgbd.yaml. The driver is started by its own launch file; the settings that align
its depth with its image are listed at DRIVERS.
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

SHARE = FindPackageShare("evitsam_ros")
#: Driver -> arguments of segmenter.launch.py: topics and frame of its images, by the driver's default names.
DRIVERS = {
    # ros2 launch realsense2_camera rs_launch.py align_depth.enable:=true
    "realsense": {
        "image": "/camera/camera/color/image_raw",
        "depth_image": "/camera/camera/aligned_depth_to_color/image_raw",
        "camera_info": "/camera/camera/color/camera_info",
        "frame": "camera_color_optical_frame",
    },
    # ros2 launch depthai_ros_driver camera.launch.py  (aligned by default)
    "depthai": {
        "image": "/oak/rgb/image_raw",
        "depth_image": "/oak/stereo/image_raw",
        "camera_info": "/oak/rgb/camera_info",
        "frame": "oak_rgb_camera_optical_frame",
    },
    # ros2 launch zed_wrapper zed_camera.launch.py camera_model:=zed2  (names since zed_wrapper 5.1)
    "zed": {
        "image": "/zed/zed_node/rgb/color/rect/image",
        "depth_image": "/zed/zed_node/depth/depth_registered",
        "camera_info": "/zed/zed_node/rgb/color/rect/camera_info",
        "frame": "zed_left_camera_frame_optical",
    },
    # ros2 launch orbbec_camera gemini_330_series.launch.py depth_registration:=true
    "orbbec": {
        "image": "/camera/color/image_raw",
        "depth_image": "/camera/depth/image_raw",
        "camera_info": "/camera/color/camera_info",
        "frame": "camera_color_optical_frame",
    },
    "none": {"image": "image", "depth_image": "depth", "camera_info": "camera_info", "frame": ""},
}
#: What a driver decides unless it is given -> description.
DECIDED = {
    "image": "image topic to segment",
    "depth_image": "topic of depth aligned with the image",
    "camera_info": "topic of the image's calibration",
    "frame": "fixed frame of RViz",
}
#: Argument -> (file in config/, description).
FILES = {
    "params_file": ("rgbd.yaml", "YAML with parameters"),
    "rviz_config": ("rgbd.rviz", "layout of RViz"),
}


def by_driver(name: str) -> PythonExpression:
    """Return the value of an argument for the driver that was chosen."""
    choice = {driver: decided[name] for driver, decided in DRIVERS.items()}
    return PythonExpression([str(choice), "['", LaunchConfiguration("driver"), "']"])


def generate_launch_description() -> LaunchDescription:
    """Include segmenter.launch.py with the topics of the driver."""
    driver = DeclareLaunchArgument(
        "driver",
        default_value="realsense",
        choices=list(DRIVERS),
        description="driver of the camera, which has its own topic names; none: image, depth, camera_info",
    )
    decided = [
        DeclareLaunchArgument(
            name, default_value=by_driver(name), description=f"{text}; default: the driver's"
        )
        for name, text in DECIDED.items()
    ]
    files = [
        DeclareLaunchArgument(
            name, default_value=PathJoinSubstitution([SHARE, "config", file]), description=text
        )
        for name, (file, text) in FILES.items()
    ]
    segmenter = PathJoinSubstitution([SHARE, "launch", "segmenter.launch.py"])
    include = IncludeLaunchDescription(PythonLaunchDescriptionSource(segmenter))
    return LaunchDescription([driver, *decided, *files, include])
