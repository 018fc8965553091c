# SPDX-License-Identifier: Apache-2.0
"""The hooks of pre-commit run the versions that requirements/ pins."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REPOSITORIES = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
#: Repository of a hook -> the package that requirements/ pins.
PACKAGES = {"ruff-pre-commit": "ruff", "codespell": "codespell"}


@pytest.mark.parametrize("repository", [each for each in REPOSITORIES if each["repo"] != "local"])
def test_hook_is_the_pinned_version(repository):
    package = PACKAGES[repository["repo"].rsplit("/", 1)[-1]]
    pins = [
        version
        for file in (ROOT / "requirements").glob("*.txt")
        for version in re.findall(rf"^{package}==([^\s;]+)", file.read_text(), re.MULTILINE)
    ]
    assert pins == [repository["rev"].removeprefix("v")]


def test_local_hook_runs_in_the_environment_of_the_checkout():
    (local,) = [hook for each in REPOSITORIES if each["repo"] == "local" for hook in each["hooks"]]
    program, tool = local["entry"].split()
    assert (ROOT / program).is_file()
    assert re.search(rf"^{tool}==", (ROOT / "requirements" / "lint.txt").read_text(), re.MULTILINE)
