# SPDX-License-Identifier: Apache-2.0
"""Generate the packages of interfaces/ with ament_cmake, once, into .venv/interfaces.

The Python index has no vision_msgs and no tf2_msgs, and evitsam_interfaces is ours. Without a C++ compiler
this prints a warning and succeeds: everything works except the topics and services that need them.
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
#: One line for each package that is built: its name and its fingerprint.
STAMP = PREFIX / "built_from"


def fingerprint(package: Path) -> str:
    """Return a hash of all that a package's build depends on: its definitions, this script, Python."""
    digest = hashlib.sha256(f"{sys.version} {numpy.__version__}".encode())
    for path in sorted([*package.rglob("*"), Path(__file__)]):
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def built() -> dict[str, str]:
    """Return the fingerprints of the packages that are built, by name."""
    lines = STAMP.read_text().splitlines() if STAMP.is_file() else []
    return dict(line.split() for line in lines if len(line.split()) == 2)


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
    """Configure and build a package with CMake; installed files stay as they are.

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
    _run(["cmake", "-S", package, "-B", folder, *flags])
    _run(["cmake", "--build", folder, "-j", jobs])


def install(name: str, folder: Path) -> None:
    """Install a package that was built, in place of an earlier one.

    Raises:
        CalledProcessError: a command failed; its output was printed.
    """
    remove(name)
    _run(["cmake", "--install", folder])


def _run(command: list[str | Path]) -> None:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        print(result.stdout[-4000:], result.stderr[-4000:], file=sys.stderr)
        raise subprocess.CalledProcessError(result.returncode, command)


def remove(name: str) -> None:
    """Remove what an earlier build of a package installed: a definition may be gone."""
    for pattern in ("share/{}", "include/{}", "lib/lib{}__*", "lib/python*/site-packages/{}"):
        for path in PREFIX.glob(pattern.format(name)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> int:
    """Build changed packages; return the exit code, which is also 0 without a compiler."""
    packages = sorted(path.parent for path in SOURCE.glob("*/package.xml"))
    wanted, known = {package.name: fingerprint(package) for package in packages}, built()
    changed = [package for package in packages if known.get(package.name) != wanted[package.name]]
    if not changed:
        print("interfaces: already built")
        return 0
    if not shutil.which(os.environ.get("CXX", "g++")):
        print(
            "interfaces: NOT built, there is no C++ compiler. Prompts and results as vision_msgs (~/prompts, "
            "~/detections), clicks from RViz and requests with a reply (~/segment) are off until "
            "you run: sudo apt-get install g++ && make setup"
        )
        return 0
    folder = VENV / "interfaces_build"
    shutil.rmtree(folder, ignore_errors=True)
    fix_baked_includes()
    try:
        for package in changed:
            build(package, folder / package.name)  # interrupted, it leaves the installed one
            install(package.name, folder / package.name)
            known[package.name] = wanted[package.name]
            STAMP.write_text("".join(f"{name} {digest}\n" for name, digest in sorted(known.items())))
            print(f"{package.name}: built into {PREFIX}")
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"interfaces: the build failed ({error})", file=sys.stderr)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
