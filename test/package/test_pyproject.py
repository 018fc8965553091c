# SPDX-License-Identifier: Apache-2.0
"""pyproject.toml: extras against the pinned requirements, and against setup.py and the imports."""

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
requirements = pytest.importorskip("packaging.requirements", reason="packaging is not installed")
utils = pytest.importorskip("packaging.utils", reason="packaging is not installed")

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def read_pins() -> dict[str, list[str]]:
    """Return the versions that requirements/ pins, by normalised name."""
    pins: dict[str, list[str]] = {}
    for file in (ROOT / "requirements").glob("*.txt"):
        for name, version in re.findall(
            r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;]+)", file.read_text(), re.MULTILINE
        ):
            pins.setdefault(utils.canonicalize_name(name), []).append(version)
    return pins


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_requirement_of_an_extra_is_tested_in_a_version_that_it_allows(extra):
    pins = read_pins()
    for text in EXTRAS[extra]:
        requirement = requirements.Requirement(text)
        if requirement.name == PROJECT["name"]:
            assert set(requirement.extras) <= set(EXTRAS), text
            continue
        versions = pins.get(utils.canonicalize_name(requirement.name), [])
        assert versions, f"{text} of the extra {extra!r} is not pinned in requirements/"
        assert all(requirement.specifier.contains(version) for version in versions), f"{text}: {versions}"


def test_setup_py_defines_the_dynamic_fields_of_pyproject():
    """A dynamic field without a value ends the build; one that is in both places would differ some day."""
    keywords = set(re.findall(r"^    (\w+)=", (ROOT / "setup.py").read_text(), re.MULTILINE))
    given = {"scripts": "entry_points", "maintainers": "maintainer", "dependencies": "install_requires"}
    assert {given.get(field, field) for field in PROJECT["dynamic"]} <= keywords
    assert not set(PROJECT) & keywords - {"name"}
