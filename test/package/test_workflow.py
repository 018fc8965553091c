# SPDX-License-Identifier: Apache-2.0
"""The GitHub workflow, which runs elsewhere: its form, its shell, and the files and commands it names."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
STEPS = [
    pytest.param(job, step, id=f"{name}-{step.get('name', step.get('uses'))}")
    for name, job in WORKFLOW["jobs"].items()
    for step in job["steps"]
]


def test_it_may_only_read_and_a_newer_push_ends_it():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    assert "permissions" not in {key for job in WORKFLOW["jobs"].values() for key in job}
    assert all(job["timeout-minutes"] for job in WORKFLOW["jobs"].values())
    # YAML 1.1 reads the key `on` as true.
    assert "pull_request_target" not in WORKFLOW[True]


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_step_is_an_action_of_a_major_version_or_shell_that_parses(job, step):
    if "uses" in step:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        return
    expressions = re.findall(r"\$\{\{.*?\}\}", step["run"])
    assert not expressions, f"expressions belong into env, where the shell quotes them: {expressions}"
    result = subprocess.run(["bash", "-n"], input=step["run"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    sources = "setup.bash" in step["run"]
    # Container jobs run sh unless told; it has no `source`.
    assert not sources or job["defaults"]["run"]["shell"] == "bash"


@pytest.mark.parametrize(("job", "step"), STEPS)
def test_names_in_steps_exist(job, step):
    script = step.get("run", "")
    for target in re.findall(r"\bmake ([a-z]+)", script):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for path in re.findall(r"(?<![\w/])(?:src/evitsam_ros/)?((?:test|launch)/[\w./*-]+)", script):
        assert list(ROOT.glob(path.rstrip("/"))), path
    for program in re.findall(r"ros2 run evitsam_ros (\w+)", script):
        assert f'"{program} = ' in (ROOT / "setup.py").read_text(), program


def test_it_covers_the_supported_versions():
    """Setup, classifiers and CONTRIBUTING.md name the same ones, and none between is left out."""
    jobs = WORKFLOW["jobs"]
    setup = (ROOT / "tools" / "setup.sh").read_text()
    low, high = re.search(r"\((3, \d+)\) <= .* <= \((3, \d+)\)", setup).groups()
    tested = [
        tuple(map(int, version.split("."))) for version in jobs["tests"]["strategy"]["matrix"]["python"]
    ]
    assert tuple(map(int, low.split(", "))) == min(tested)
    assert tuple(map(int, high.split(", "))) == max(tested)
    classified = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "setup.py").read_text())
    assert [tuple(map(int, version.split("."))) for version in classified] == tested
    assert tested == [(3, minor) for minor in range(min(tested)[1], max(tested)[1] + 1)]
    assert jobs["pip"]["strategy"]["matrix"]["python"] == classified
    for text in (setup, (ROOT / "CONTRIBUTING.md").read_text()):
        assert f"Python {classified[0]} to {classified[-1]}" in text
    assert jobs["ros"]["strategy"]["matrix"]["distribution"] == ["humble", "jazzy", "lyrical"]


#: In place of the programs that install and build; pip prints what it is asked for.
STUBS = """
for each in apt-get rosdep; do eval "$each() { :; }"; done
pip() { printf '%s\\n' "$@"; }
python3() { if [ "$2" = pip ]; then shift 2; pip "$@"; else "$PYTHON" "$@"; fi; }
"""


@pytest.mark.parametrize(
    ("version", "limit"), [("1.21.5", "numpy<2"), ("1.26.4", "numpy<2"), ("2.3.5", "numpy<3")]
)
def test_pip_keeps_the_major_version_of_the_distributions_numpy(tmp_path, version, limit):
    """Ubuntu 22.04 and 24.04 have numpy 1, 26.04 has numpy 2."""
    (step,) = [step for step in WORKFLOW["jobs"]["ros"]["steps"] if step.get("name") == "Dependencies"]
    readme = re.findall(r"^pip install onnxruntime .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(readme) == 1
    (tmp_path / "numpy.py").write_text(f"__version__ = {version!r}")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHON": sys.executable, "ROS_DISTRO": "jazzy"}
    for script in (step["run"], *readme):
        command = ["bash", "-c", STUBS + script]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        assert done.stdout.split() == ["install", "onnxruntime", limit], done.stderr


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_reports_no_error():
    result = subprocess.run(["actionlint"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
