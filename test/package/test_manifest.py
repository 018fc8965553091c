# SPDX-License-Identifier: Apache-2.0
"""package.xml, as ROS's own parser reads it, beside setup.py."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def test_setup_says_the_same(manifest):
    text = (ROOT / "setup.py").read_text()
    said = dict(re.findall(r'^    (version|license|maintainer_email)="([^"]+)"', text, re.MULTILINE))
    assert said["version"] == manifest.version
    assert [said["license"]] == [str(each) for each in manifest.licenses]
    assert said["maintainer_email"] == manifest.maintainers[0].email


def test_nothing_is_declared_twice_or_built_against(manifest):
    """A Python package has nothing to build; what runs is not a dependency of the tests alone."""
    running = [each.name for each in manifest.exec_depends]
    testing = [each.name for each in manifest.test_depends]
    assert len(running + testing) == len(set(running + testing))
    assert not manifest.build_depends
