# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the examples' tests: a bundle with known masks, and a runner of the scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.known_bundle import write_known_bundle

from ..conftest import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def known_bundle(tmp_path_factory) -> Path:
    """Return a bundle that answers a box with the box, a point with a disc, and has two proposals."""
    pytest.importorskip("torch", reason="torch exports the bundle")
    return write_known_bundle(tmp_path_factory.mktemp("engines") / "known")


@pytest.fixture
def run_example(tmp_path) -> Callable[..., str]:
    """Return a function that runs an example in a temporary folder and returns its output."""

    def run(name: str, *words: object, code: int = 0, **environment: str) -> str:
        inherited = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        paths = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *map(str, words)],
            cwd=tmp_path,
            env=inherited | {"PYTHONPATH": paths} | environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run
