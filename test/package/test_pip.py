# SPDX-License-Identifier: Apache-2.0
"""``pip install .`` into an environment without ROS: the command line works with the shipped model."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("evitsam_ros", "launch", "config", "engines", "resource", "demo")
FILES = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The environment; libraries come from this one's, so that nothing is downloaded."""
    folder = tmp_path_factory.mktemp("pip")
    source = folder / "source"
    source.mkdir()
    for name in PARTS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=600)
    command = [sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--no-deps"]
    command += ["--no-build-isolation", "--quiet", source]
    environment = {**os.environ, "PYTHONPATH": libraries()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return folder / "venv"


def libraries() -> str:
    """The site-packages of this environment."""
    return str(Path(pytest.__file__).resolve().parents[1])


def test_segment_works_with_the_shipped_model(installed, tmp_path):
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    environment = {**kept, "PYTHONPATH": libraries(), "OMP_NUM_THREADS": "2"}
    image = shutil.copy(ROOT / "demo" / "pictures" / "astronaut.jpg", tmp_path)
    command = [installed / "bin" / "evitsam", "segment", image, "--box", "95,0,330,505"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "1 masks" in done.stdout and (tmp_path / "astronaut_masks.png").is_file()
    code = "import evitsam_ros.bundle as b; print(b.__file__, b.find_bundle(b.DEFAULT_MODEL))"
    command = [installed / "bin" / "python", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert all(str(installed) in path for path in done.stdout.split()), done.stdout + done.stderr
