# SPDX-License-Identifier: Apache-2.0
"""The Dockerfiles, which are not built here: their shell, and the files that they name."""

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
INSTRUCTIONS = {"ARG", "FROM", "ENV", "SHELL", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"}


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_instructions_parse_and_name_what_exists(path):
    assert "# NOT BUILT HERE" in path.read_text()
    found = instructions(path)
    assert {name for name, _ in found} <= INSTRUCTIONS
    for name, text in found:
        if name == "RUN":
            result = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
    check_command(json.loads(dict(found)["CMD"]))


def check_command(command: list[str]) -> None:
    """Check that the node or launch file exists, with the arguments or parameters that it is given."""
    assert command[0] == "ros2" and command[2] == "evitsam_ros"
    if command[1] == "launch":
        launch_file = (ROOT / "launch" / command[3]).read_text()
        for argument in command[4:]:
            assert f'"{argument.partition(":=")[0]}": (' in launch_file
    else:
        assert command[1] == "run" and f"{command[3]} = " in (ROOT / "setup.py").read_text()
        parameters = (ROOT / "config" / f"{command[3]}.yaml").read_text()
        for flag, value in pairwise(command):
            if flag == "-p":
                assert re.search(rf"^ +{value.partition(':=')[0]}: ", parameters, re.MULTILINE)


def test_both_are_there():
    assert [path.name for path in FILES] == ["jetson.Dockerfile", "x86_cpu.Dockerfile"]
