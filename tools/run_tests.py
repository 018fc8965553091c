# SPDX-License-Identifier: Apache-2.0
"""Run all tests, one process a folder, two folders at a time: ``python tools/run_tests.py [pytest options]``.

With ROS, OpenVINO, TensorRT-RTX and torch's training in one process, native code crashed: hence a process a
folder. Tests that start ROS nodes wait most of their time, and must not see each other's topics: they have
one lane, all other tests have the second one. The output of a folder is printed when it has ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parent.parent
#: Words that only tests with ROS nodes of their own have in their code.
ROS_WORDS = ("ROS_DOMAIN_ID", "harness")
#: Exit status of pytest that is no failure here: passed, or no test was selected.
FINE = (0, 5)
#: Nested folders with a process of their own: OpenVINO and NNCF run there, training in the folder above.
NESTED = ("test/training/evaluation", "test/training/quantization")

_printing = Lock()


def parts() -> dict[str, list[Path]]:
    """Return the name and the paths of each part: the folders with tests, and the files beside them."""
    folders = sorted(path.parent for path in (ROOT / "test").glob("*/__init__.py"))
    folders += [ROOT / name for name in NESTED]
    found = {folder.relative_to(ROOT).as_posix(): [folder] for folder in folders}
    return found | {"test/test_*.py": sorted((ROOT / "test").glob("test_*.py"))}


def starts_nodes(paths: list[Path]) -> bool:
    """Return whether tests in these folders start ROS nodes."""
    files = [file for path in paths for file in path.rglob("*.py")]
    return any(word in file.read_text("utf-8") for file in files for word in ROS_WORDS)


def run(name: str, paths: list[Path], options: list[str]) -> int:
    """Run one part, print its output, and return pytest's exit status."""
    begun = time.monotonic()
    with _printing:
        print(f"run_tests: {name} begins", flush=True)
    nested = [f"--ignore={ROOT / other}" for other in NESTED if other.startswith(f"{name}/")]
    command = [sys.executable, "-m", "pytest", *options, *nested, *map(str, paths)]
    result = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = result.stdout.decode("utf-8", errors="replace")
    with _printing:
        took = f"{time.monotonic() - begun:.0f} s"
        print(f"{text}\nrun_tests: {name} ended after {took} ({_ending(result.returncode)})", flush=True)
    return result.returncode


def _ending(code: int) -> str:
    """Return how a process ended, from its return code: a negative one is the signal that ended it."""
    return f"exit status {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"


def main(options: list[str]) -> int:
    """Run both lanes; 1 if a part failed."""
    lanes: list[list[tuple[str, list[Path]]]] = [[], []]
    for name, paths in parts().items():
        lanes[0 if starts_nodes(paths) else 1].append((name, paths))

    def lane(part_list: list[tuple[str, list[Path]]]) -> list[str]:
        return [name for name, paths in part_list if run(name, paths, options) not in FINE]

    with ThreadPoolExecutor(len(lanes)) as pool:
        failed = [name for names in pool.map(lane, lanes) for name in names]
    print(f"run_tests: {'failed: ' + ', '.join(failed) if failed else 'all parts passed'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["-m", "not slow"]))
