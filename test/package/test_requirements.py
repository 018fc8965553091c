# SPDX-License-Identifier: Apache-2.0
"""What each level of the environment installs: the demo's has nothing of tests, training or export."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
#: Files that stay in the environment of ``make demo``; CMake is deleted after the messages are generated.
DEMO = ("ros.txt", "runtime.txt", "interfaces.txt")
#: Megabytes of files, without those that the interpreter and pip bring.
LIMIT = 700


def named(file: Path) -> list[Requirement]:
    """Return the requirements of a file that apply to this interpreter."""
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    found = [Requirement(line) for line in lines if line]
    return [each for each in found if each.marker is None or each.marker.evaluate()]


def closure(files: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Return all that pip installs for the files, by normalised name, as installed here."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [each.name for file in files for each in named(FOLDER / file)]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found[name] = metadata.distribution(name)
        for line in found[name].requires or ():
            each = Requirement(line)
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                waiting.append(each.name)
    return found


@pytest.fixture(scope="module")
def demo() -> dict[str, metadata.Distribution]:
    try:
        return closure(DEMO)
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"{error} is not installed: this is not the environment of 'make setup'")


def test_the_demo_installs_neither_torch_nor_tests_nor_training(demo):
    heavy = "torch|nvidia|tensorrt|cuda|openvino|onnx$|pytest|hypothesis|matplotlib|transformers|scikit-image"
    assert not [name for name in demo if re.match(heavy, name)]
    assert {"ros-rclpy", "onnxruntime", "numpy"} <= set(demo)


def test_the_demo_is_smaller_than_its_limit(demo):
    paths = {Path(each.locate_file(file)) for each in demo.values() for file in each.files or ()}
    size = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
    assert 300 < size < LIMIT, f"{size:.0f} MB"


def test_every_pin_is_exact_and_stands_in_one_file():
    places: dict[str, set[str]] = {}
    for file in FOLDER.glob("*.txt"):
        for each in named(file):
            assert str(each.specifier).startswith("=="), f"{file.name}: {each}"
            places.setdefault(each.name.lower(), set()).add(file.name)
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_the_demo_requires_no_package_of_the_tests():
    """Its photographs come with the package, not from scikit-image."""
    for file in (ROOT / "demo").glob("*.py"):
        assert not re.search(r"skimage|torch|openvino", file.read_text()), file


def test_the_processes_of_the_demo_import_only_its_packages():
    pytest.importorskip("rclpy")
    code = (
        "import sys, demo.__main__, evitsam_ros.nodes.segmenter, evitsam_ros.nodes.camera\n"
        "heavy = {'torch', 'skimage', 'matplotlib', 'jinja2', 'pytest', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
