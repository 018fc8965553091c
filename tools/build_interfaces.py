# SPDX-License-Identifier: Apache-2.0
"""Generate the packages of interfaces/ with ament_cmake, once, into .venv/interfaces.

The Python index has no vision_msgs and no tf2_msgs. Without a C++ compiler this prints a warning and
succeeds: everything works except the topics that need them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "interfaces"
VENV = Path(sys.prefix)
PREFIX = VENV / "interfaces"
STAMP = PREFIX / "built_from"


def fingerprint() -> str:
    """Return a hash of all that the build depends on: the definitions, this script, Python."""
    digest = hashlib.sha256(f"{sys.version} {numpy.__version__}".encode())
    for path in sorted([*SOURCE.rglob("*"), Path(__file__)]):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def fix_baked_includes() -> None:
    """Replace the include folders in the wheels' CMake files, which are those of another machine."""
    python = sysconfig.get_paths()["include"]
    for file in (VENV / "share").rglob("*.cmake"):
        text = file.read_text(errors="surrogateescape")
        fixed = re.sub(r"/opt/python/cp3[^;\"\s]*?/numpy/[^;\"\s]*?include", numpy.get_include(), text)
        fixed = re.sub(r"/opt/python/cp3[^;\"\s]*?/include/python3\.\d+", python, fixed)
        if fixed != text:
            file.write_text(fixed, errors="surrogateescape")


def build(package: Path, folder: Path) -> None:
    """Configure, build and install a package with CMake.

    Raises:
        CalledProcessError: a command failed; its output was printed.
    """
    options = {
        "CMAKE_INSTALL_PREFIX": PREFIX,
        "CMAKE_BUILD_TYPE": "Release",
        "BUILD_TESTING": "OFF",
        "Python3_EXECUTABLE": VENV / "bin" / "python",
        "Python3_FIND_VIRTUALENV": "ONLY",
    }
    flags = [f"-D{name}={value}" for name, value in options.items()]
    jobs = str(os.cpu_count() or 1)
    commands = (
        ["cmake", "-S", package, "-B", folder, *flags],
        ["cmake", "--build", folder, "-j", jobs],
        ["cmake", "--install", folder],
    )
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(result.stdout[-4000:], result.stderr[-4000:], file=sys.stderr)
            raise subprocess.CalledProcessError(result.returncode, command)


def main() -> int:
    """Build changed packages; return the exit code, which is also 0 without a compiler."""
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        print("interfaces: already built")
        return 0
    if not shutil.which(os.environ.get("CXX", "g++")):
        print(
            "interfaces: NOT built, there is no C++ compiler. Prompts and results as vision_msgs (~/prompts, "
            "~/detections) and clicks from RViz are off until you run: sudo apt-get install g++ && make setup"
        )
        return 0
    shutil.rmtree(PREFIX, ignore_errors=True)
    folder = VENV / "interfaces_build"
    shutil.rmtree(folder, ignore_errors=True)
    fix_baked_includes()
    try:
        for package in sorted(path.parent for path in SOURCE.glob("*/package.xml")):
            build(package, folder / package.name)
            print(f"{package.name}: built into {PREFIX}")
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(PREFIX, ignore_errors=True)
        print(f"interfaces: the build failed ({error})", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
