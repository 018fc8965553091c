# SPDX-License-Identifier: Apache-2.0
"""package.xml, as ROS's own parser reads it, beside setup.py."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Released packages of Humble, Jazzy, Kilted and Lyrical that the manifest may name.
RELEASED = {
    *("ament_index_python", "builtin_interfaces", "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros"),
    *("launch_testing", "lifecycle_msgs", "rcl_interfaces", "rclpy", "ros2launch", "sensor_msgs", "std_msgs"),
    *("std_srvs", "tf2_msgs", "tf2_ros_py", "vision_msgs", "visualization_msgs"),
}
#: Keys of rosdep's python.yaml, for Ubuntu's own packages. Some Python packages have none (pycocotools).
ROSDEP = {
    *(
        "python3-aiohttp",
        "python3-argcomplete",
        "python3-jsonschema",
        "python3-numpy",
        "python3-onnxruntime-pip",
        "python3-opencv",
        "python3-pytest",
        "python3-pytest-timeout",
    ),
    *("python3-requests", "python3-scipy", "python3-tqdm", "python3-yaml"),
}
parser = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")


@pytest.fixture(scope="module")
def manifest():
    warnings: list[str] = []
    parsed = parser.parse_package(str(ROOT), warnings=warnings)
    assert not warnings
    return parsed


def test_manifest_is_of_format_3_and_for_ament_python(manifest):
    assert manifest.package_format == 3
    assert [(e.tagname, e.content) for e in manifest.exports] == [("build_type", "ament_python")]


def test_setup_py_agrees_with_the_manifest(manifest):
    text = (ROOT / "setup.py").read_text()
    fields = dict(re.findall(r'^    (version|license|maintainer_email)="([^"]+)"', text, re.MULTILINE))
    assert fields["version"] == manifest.version
    assert [fields["license"]] == [str(each) for each in manifest.licenses]
    assert fields["maintainer_email"] == manifest.maintainers[0].email


def test_every_dependency_is_a_key_that_rosdep_resolves(manifest):
    """One unknown key ends `rosdep install` for the whole workspace."""
    named = {each.name for kind in ("exec", "build", "test", "doc") for each in depends(manifest, kind)}
    named |= {each.name for each in [*manifest.buildtool_depends, *manifest.build_export_depends]}
    assert len(named) > 20
    assert not named - RELEASED - ROSDEP


def depends(manifest, kind: str) -> list:
    return getattr(manifest, f"{kind}_depends")


def test_dependencies_are_declared_once_and_none_for_the_build(manifest):
    """A Python package has nothing to build; what runs is not a dependency of the tests alone."""
    running = [each.name for each in manifest.exec_depends]
    testing = [each.name for each in manifest.test_depends]
    assert len(running + testing) == len(set(running + testing))
    assert not manifest.build_depends
