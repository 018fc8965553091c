# SPDX-License-Identifier: Apache-2.0
"""The commands in the documentation: options, launch arguments, nodes, parameters and make targets exist."""

import contextlib
import io
import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("evitsam_ros.nodes.parameter_specs", reason="ROS 2 is not installed")

from evitsam_ros.cli.deprecated import rewrite
from evitsam_ros.cli.program import COMMANDS, build_parser
from evitsam_ros.nodes.parameter_specs import PARAMETERS
from evitsam_ros.nodes.semantic_parameters import SEMANTIC_PARAMETERS
from tools.docs.launch_files import NAMES, declared_arguments
from tools.docs.links import OUTSIDE
from tools.docs.topics import read_topics

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
#: The page of the commands has their usage, not commands.
FILES = [name for name in ("README.md", *OUTSIDE, *PAGES) if name != "docs/reference/commands.md"]
NODES = {"segmenter": PARAMETERS, "semantic": SEMANTIC_PARAMETERS} | {
    node: import_module(f"evitsam_ros.nodes.{node}").PARAMETERS
    for node in ("camera", "web", "profiler", "detections_converter")
}
ARGUMENTS = {f"{name}.launch.py": set(declared_arguments(name)) for name in NAMES}
SERVICES = {entry.name for node in read_topics() for entry in node.entries if entry.direction == "srv"}


def command_lines(name: str) -> list[list[str]]:
    """Return the words of each command in the code blocks of a file."""
    text = (ROOT / name).read_text()
    blocks = re.findall(r"^( *)```\w*\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(block for _, block in blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quoted text over several lines
        return []
    while words and (words[0] in ("./env.sh", "time") or re.fullmatch(r"[A-Z_]+=\S*", words[0])):
        words = words[1:]
    if words[:3] == ["ros2", "run", "evitsam_ros"]:
        words = words[3:] if words[3:4] == ["evitsam"] else words
    ends = [index for index, word in enumerate(words) if word in ("&&", "|", ";", "&", ">")]
    return words[: min(ends, default=None)]


def fault(words: list[str]) -> str:
    """Return what a command names that does not exist; empty: nothing."""
    match words:
        case ["evitsam", command, *options] if command in COMMANDS or not options:
            return parser_fault([command, *options])
        case ["ros2", "launch", "evitsam_ros", file, *arguments]:
            names = {each.partition(":=")[0] for each in arguments if ":=" in each}
            unknown = names - ARGUMENTS.get(file, set())
            return f"arguments {sorted(unknown)}" if unknown or file not in ARGUMENTS else ""
        case ["ros2", "run", "evitsam_ros", node, *options]:
            return node_fault(node, options)
        case ["ros2", "param", "set" | "get" | "describe", node, name, *_]:
            return "" if name in NODES.get(node.strip("/"), {name: None}) else f"parameter {name}"
        case ["ros2", "service", "call", service, *_] if service.startswith("/segmenter/"):
            known = {f"/segmenter/{each.removeprefix('~/')}" for each in SERVICES}
            return "" if re.sub(r"/(front|rear|left|right)/", "/", service) in known else f"service {service}"
        case ["make", target, *_]:
            makefile = (ROOT / "Makefile").read_text()
            return "" if re.search(rf"^{target}:", makefile, re.MULTILINE) else f"target {target}"
    return ""


def parser_fault(words: list[str]) -> str:
    if rewrite(words, COMMANDS) != words:
        return "deprecated"
    error = io.StringIO()
    try:
        with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
            build_parser().parse_args(words)
    except SystemExit as end:
        return error.getvalue().strip().splitlines()[-1] if end.code else ""
    return ""


def node_fault(node: str, options: list[str]) -> str:
    if f'f"{node} = ' not in (ROOT / "setup.py").read_text():
        return f"node {node}"
    for flag, value in pairwise(options):
        name = value.partition(":=")[0]
        if flag != "-p" or name == "use_sim_time":
            continue
        owner, _, parameter = name.rpartition(":")
        if parameter not in NODES.get(owner or node, {}):
            return f"parameter {name}"
    return ""


@pytest.mark.parametrize("name", FILES)
def test_commands_name_what_exists(name):
    found = [f"{' '.join(words)}: {text}" for words in command_lines(name) if (text := fault(words))]
    assert not found, "\n".join(found)


def test_commands_are_found():
    assert len(command_lines("README.md")) >= 10
    kinds = {tuple(words[:1]) for name in FILES for words in command_lines(name)}
    assert {("evitsam",), ("ros2",), ("make",)} <= kinds


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("./env.sh evitsam segment a.jpg --box 1,2,3,4  # a comment", ""),
        ("evitsam segment a.jpg --bx 1,2,3,4", "unrecognized arguments: --bx"),
        ("evitsam segment a.jpg --top-n 3", "deprecated"),
        ("ros2 launch evitsam_ros segmenter.launch.py image:=/a mod:=b", "arguments ['mod']"),
        ("ros2 launch evitsam_ros other.launch.py", "arguments []"),
        ("ros2 run evitsam_ros compose --ros-args -p camera:sorce:=a", "parameter camera:sorce"),
        ("ros2 param set /segmenter top_n 3", "parameter top_n"),
        ("ros2 service call /segmenter/front/segment x", ""),
        ("ros2 service call /segmenter/clear x", "service /segmenter/clear"),
        ("make demos", "target demos"),
    ],
)
def test_faults_are_found(line, expected):
    text = fault(_words(line))
    assert expected in text if expected else text == ""


def test_readme_is_short_and_names_every_launch_file():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= 6144
    assert [name for name in NAMES if f"`{name}.launch.py`" not in text] == []


def test_readme_has_the_version():
    version = re.search(r'^ +version="(.+)",$', (ROOT / "setup.py").read_text(), re.MULTILINE)[1]
    assert f"/version-{version}-" in (ROOT / "README.md").read_text()
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()
