# SPDX-License-Identifier: Apache-2.0
"""`make demo` shows what it promises."""

import json
import os
import subprocess
import sys

import cv2
import pytest

from ..conftest import ROOT


@pytest.mark.parametrize(
    "options", [(), ("--model", str(ROOT / "engines" / "lite_sam"))], ids=["default", "model"]
)
def test_the_demo_ends_with_its_images(tmp_path, options):
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    command = [sys.executable, "-m", "demo", *options]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "out" / "demo" / "summary.json").read_text())
    assert summary["masks_out"] > 0 and summary["prompts_answered"] > 0
    for name in ("point", "box", "everything"):
        assert cv2.imread(str(tmp_path / "out" / "demo" / f"{name}.png")) is not None


def test_the_demo_of_a_missing_model_names_the_install_command(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    environment["XDG_DATA_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "demo", "--model", "efficientvit_sam_l0"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("is not installed: evitsam fetch efficientvit_sam_l0")
