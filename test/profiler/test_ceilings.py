# SPDX-License-Identifier: Apache-2.0
"""The measuring process: what it says is plausible, and it ends."""

import pytest

from evitsam_ros.profiler import ceilings
from evitsam_ros.profiler.ceilings import Ceilings


def test_measures_in_a_process_that_ends():
    with Ceilings(1) as found:
        for _ in range(2):
            found.measure()
        process = found._process
    assert process.poll() == 0
    assert found.side in ceilings.SIDES
    # Slower than a thousandth of any CPU of this century, or faster than any: the unit would be wrong.
    assert len(found.macs_per_s) == 2 and all(1e8 < rate < 1e14 for rate in found.macs_per_s)
    assert len(found.bytes_per_s) == 2 and all(1e8 < rate < 1e13 for rate in found.bytes_per_s)


def test_a_process_that_died_is_an_error():
    with pytest.raises((RuntimeError, BrokenPipeError)), Ceilings(1) as found:
        found._process.terminate()
        found._process.wait()
        found.measure()
