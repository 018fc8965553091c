# SPDX-License-Identifier: Apache-2.0
"""A kept heap gives back what rare, huge blocks took; in processes of their own, for it is for good."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
from evitsam_ros.malloc import HeapWatch, _resident, tune_malloc

assert tune_malloc()
watch = HeapWatch()
watch.look()
before = _resident()
huge = [np.ones(50_000_000, np.uint8) for _ in range(4)]
pin = np.ones(1_000_000, np.uint8)  # above them: the heap cannot shrink from its end
del huge
if sys.argv[1] == "look":
    assert watch.look()
    assert not watch.look(), "nothing has grown since"
print((_resident() - before) / 1e6)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc and /proc")
@pytest.mark.parametrize(("way", "least", "most"), [("look", 0, 30), ("do not", 150, 300)])
def test_freed_memory_is_returned_on_a_check(way, least, most):
    run = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True)
    assert least <= float(run.stdout) <= most
