# SPDX-License-Identifier: Apache-2.0
"""The script of continuous integration, with stand-ins for the programs that it calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def programs(tmp_path):
    """Return a folder that is all of PATH; ``make`` and ``id`` are stand-ins."""
    for name in ("bash", "env", "dirname", "timeout", "touch"):
        (tmp_path / name).symlink_to(shutil.which(name))
    program(tmp_path, "make", 'echo "make $*"')
    program(tmp_path, "id", "echo 0")
    return tmp_path


def program(folder: Path, name: str, line: str) -> None:
    (folder / name).write_text(f"#!{shutil.which('bash')}\n{line}\n")
    (folder / name).chmod(0o755)


def run(programs: Path) -> list[str]:
    environment = {**os.environ, "PATH": str(programs)}
    command = [str(programs / "bash"), str(ROOT / ".ci" / "run")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


SKIPPED = [f"ci: {name} is not installed: the tests that need it are skipped" for name in ("chromium", "g++")]


def test_missing_programs_are_installed(programs):
    install = f'[ "$1" = update ] || {{ for last; do :; done; touch "{programs}/$last"; }}'
    program(
        programs, "apt-get", f"{install}; chmod +x {programs}/chromium {programs}/g++ 2>/dev/null; exit 0"
    )
    (programs / "chmod").symlink_to(shutil.which("chmod"))
    assert run(programs) == ["make test"]
    assert (programs / "chromium").exists() and (programs / "g++").exists()


@pytest.mark.parametrize("apt", ["exit 100", '[ "$1" = update ]', None])
def test_a_failed_installation_is_named_and_the_run_continues(programs, apt):
    if apt is not None:
        program(programs, "apt-get", apt)
    assert run(programs) == [*SKIPPED, "make test"]


def test_only_root_installs(programs):
    program(programs, "id", "echo 1000")
    program(programs, "apt-get", f"touch {programs}/called")
    assert run(programs) == [*SKIPPED, "make test"]
    assert not (programs / "called").exists()
