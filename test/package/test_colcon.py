# SPDX-License-Identifier: Apache-2.0
"""The package in a real colcon workspace: built, symlink-installed, tested, run from the install space."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evitsam_ros.bundle import DEFAULT_MODEL, DEFAULT_SEMANTIC, DEFAULT_UPSCALE
from evitsam_ros.dense.bundle import open_by_kind

ROOT = Path(__file__).parents[2]
KEPT = ("evitsam_ros", "launch", "config", "engines", "resource", "interfaces", "test", "training")
KEPT += ("demo", "bench")
FILES = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.skipif(shutil.which("colcon") is None, reason="colcon is not installed")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ws")
    source = folder / "src" / "evitsam_ros"
    source.mkdir(parents=True)
    for name in KEPT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source)
    return folder


def run(workspace: Path, *command: str, timeout: float = 1500, **extra: str) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    # What the checkout's env.sh added would hide the installed package.
    parts = environment.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join(part for part in parts if part and Path(part) != ROOT)
    environment["COLCON_LOG_LEVEL"] = "error"
    return subprocess.run(
        command, cwd=workspace, capture_output=True, text=True, timeout=timeout, env=environment | extra
    )


def installed(workspace: Path, base: str, *command: str, **extra: str) -> subprocess.CompletedProcess:
    line = f'source "{workspace}/{base}/local_setup.bash" && exec "$@"'
    return run(workspace, "bash", "-c", line, "bash", *command, **extra)


def test_interfaces_are_a_package_of_their_own(workspace):
    paths = ("--base-paths", "src", "src/evitsam_ros/interfaces")
    result = run(workspace, "colcon", "list", "--names-only", *paths)
    assert result.stdout.split() == ["evitsam_interfaces", "evitsam_ros"], result.stderr


@pytest.fixture(scope="module", params=["merged", "symlink"])
def built(workspace, request):
    base = f"install_{request.param}"
    flags = ["--symlink-install"] if request.param == "symlink" else []
    command = ["colcon", "build", "--install-base", base, "--build-base", f"build_{request.param}", *flags]
    result = run(workspace, *command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 package finished" in result.stdout
    return workspace, base


def test_share_and_index_are_installed(built):
    workspace, base = built
    prefix = workspace / base / "evitsam_ros"
    assert (prefix / "share/ament_index/resource_index/packages/evitsam_ros").exists()
    files = [path for top in ("launch", "config", "demo/pictures") for path in (ROOT / top).rglob("*.*")]
    assert len(files) > 10
    for path in [ROOT / "package.xml", *files]:
        installed_file = prefix / "share/evitsam_ros" / path.relative_to(ROOT)
        assert "__pycache__" in path.parts or installed_file.exists(), installed_file
    for name in (DEFAULT_MODEL, "lite_sam", DEFAULT_SEMANTIC, DEFAULT_UPSCALE):
        assert open_by_kind(prefix / "share/evitsam_ros/engines" / name)


def test_executables_run_from_the_install_space(built):
    workspace, base = built
    scripts = workspace / base / "evitsam_ros" / "lib" / "evitsam_ros"
    assert sorted(path.name for path in scripts.iterdir()) == [
        "camera",
        "compose",
        "detections_converter",
        "evitsam",
        "profiler",
        "segmenter",
        "semantic",
        "web",
    ]
    result = installed(workspace, base, str(scripts / "evitsam"), "doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "lite_sam" in result.stdout and "ready: camera in, masks out" in result.stdout
    for name in ("segmenter", "camera", "semantic"):
        bad = {"segmenter": "mode:=magic", "camera": "encoding:=hsv", "semantic": "resolution:=half"}[name]
        result = installed(workspace, base, str(scripts / name), "--ros-args", "-p", bad, ROS_DOMAIN_ID="97")
        assert result.returncode == 2, result.stdout + result.stderr
        assert "expected" in result.stderr


def test_installed_package_is_the_one_that_runs(built):
    workspace, base = built
    lines = (
        "import evitsam_ros, evitsam_ros.bundle as bundle",
        "print(evitsam_ros.__file__)",
        "print(bundle.find_bundle('lite_sam'))",
        "print(bundle.Path(evitsam_ros.__file__).with_name('py.typed').is_file())",
        "print((bundle.Path(evitsam_ros.__file__).parent / 'web' / 'page.html').is_file())",
    )
    (workspace / "where.py").write_text("\n".join(lines))
    result = installed(workspace, base, sys.executable, str(workspace / "where.py"))
    package, bundle, typed, page = result.stdout.split()
    assert str(workspace) in package and str(workspace) in bundle, result.stdout + result.stderr
    assert typed == page == "True"


def test_colcon_test_runs_tests(built):
    workspace, base = built
    if base != "install_symlink":
        pytest.skip("once is enough")
    command = [
        "colcon",
        "test",
        "--install-base",
        base,
        "--build-base",
        "build_symlink",
        "--return-code-on-test-failure",
    ]
    # A part of the suite that needs neither nodes nor torch: the whole suite is what this test belongs to.
    result = run(workspace, *command, "--pytest-args", "test/segment", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
    report = next((workspace / "build_symlink").rglob("pytest.xml")).read_text()
    assert 'failures="0"' in report and 'tests="0"' not in report
