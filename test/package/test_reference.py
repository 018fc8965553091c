# SPDX-License-Identifier: Apache-2.0
"""docs/reference/ against the code: generated pages are up to date, and every entry has a description."""

import re
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("evitsam_ros.nodes.parameter_specs", reason="ROS 2 is not installed")

from evitsam_ros.cli.program import COMMANDS
from evitsam_ros.nodes.parameter_specs import PARAMETERS
from evitsam_ros.nodes.semantic_parameters import SEMANTIC_PARAMETERS
from tools.docs.__main__ import FOLDER, PAGES, outdated
from tools.docs.topics import read_topics

from ..launch_files.expectations import NAMES

ROOT = Path(__file__).parents[2]
POLICY = ElementTree.parse(ROOT / "config" / "sros2" / "policy.xml").getroot()
NODES = {node.name: node for node in read_topics()}
#: Topics and services that every node, or every lifecycle node, has.
COMMON = re.compile(
    r"/clock|/rosout|/parameter_events|~/(transition_event|change_state|get_(available_)?(state|transition)\w*"
    r"|(describe|get|list|set)_parameter\w*|get_type_description)"
)


def sections(page: str) -> dict[str, list[list[str]]]:
    """Return the cells of the tables of a page by the title of their section (``##``), without headers."""
    found = {}
    for part in (FOLDER / page).read_text().split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        rules = [index for index, row in enumerate(rows) if set(row) == {"---"}]
        headers = {index - 1 for index in rules}
        kept = [row for index, row in enumerate(rows) if index not in {*rules, *headers}]
        found[part.splitlines()[0]] = kept
    return found


def test_generated_pages_are_up_to_date():
    assert not list(outdated()), "run ./env.sh python -m tools.docs"


def test_every_page_of_the_reference_is_generated_or_known():
    assert {path.name for path in FOLDER.glob("*.md")} == {*PAGES, "python.md"}


@pytest.mark.parametrize("page", ["parameters.md", "launch.md", "commands.md", "bundle.md", "topics.md"])
def test_every_entry_has_a_description(page):
    rows = [row for part in sections(page).values() for row in part]
    assert len(rows) > 40
    assert [row for row in rows if len(row[-1]) < 4] == []


def test_parameters_of_all_nodes_are_listed():
    listed = {title: {row[0].strip("`") for row in rows} for title, rows in sections("parameters.md").items()}
    assert {*PARAMETERS} <= listed["segmenter"]
    assert {*SEMANTIC_PARAMETERS} == listed["semantic"]
    for node in ("camera", "web", "profiler", "detections_converter"):
        assert set(import_module(f"evitsam_ros.nodes.{node}").PARAMETERS) == listed[node]


def test_all_commands_and_launch_files_have_a_section():
    assert set(sections("commands.md")) == {f"evitsam {name}" for name in COMMANDS}
    assert set(sections("launch.md")) == {f"{name}.launch.py" for name in NAMES}


def test_every_message_and_service_has_a_section():
    files = [*(ROOT / "interfaces" / "evitsam_interfaces").rglob("*.msg")]
    files += (ROOT / "interfaces" / "evitsam_interfaces").rglob("*.srv")
    found = sections("messages.md")
    assert set(found) == {path.stem for path in files}
    assert [row[0] for row in found["ObjectPrompt"]] == [
        f"`{name}`" for name in ("name", "class_name", "score", "points", "labels", "box")
    ]


def policy_names(node: str) -> dict[str, set[str]]:
    """Return the names that the security policy allows a node, without those of every node."""
    (enclave,) = [each for each in POLICY.iter("enclave") if each.get("path") == f"/evitsam_ros/{node}"]
    found: dict[str, set[str]] = {name: set() for name in ("in", "out", "srv", "call")}
    kinds = {"subscribe": "in", "publish": "out", "reply": "srv", "request": "call"}
    for element in enclave.iter():
        for permission, direction in kinds.items():
            if element.get(permission) == "ALLOW":
                names = {item.text.strip() for item in element}
                found[direction] |= {name for name in names if not COMMON.fullmatch(name)}
    return found


@pytest.mark.parametrize("node", ["segmenter", "semantic", "camera", "web"])
def test_topics_are_those_of_the_security_policy(node):
    """The policy is compared with running nodes (test/launch_files/test_security_policy.py)."""
    expected = policy_names(node)
    assert {direction: NODES[node].names(direction) for direction in expected} == expected


def test_identifiers_of_the_python_page_exist():
    names = re.findall(r"^::: ([\w.]+)$", (FOLDER / "python.md").read_text(), re.MULTILINE)
    assert len(names) > 5
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name
