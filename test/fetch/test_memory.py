# SPDX-License-Identifier: Apache-2.0
"""The warning about memory: by what was measured, and by what the kernel says."""

import os

import pytest

from evitsam_ros.fetch import memory
from evitsam_ros.fetch.memory import available_memory, memory_for_export, memory_warning


@pytest.mark.parametrize(("checkpoint", "peak_kb"), [(139_394_000, 1_205_432), (814_070_316, 5_842_140)])
def test_the_estimate_equals_the_measurement(checkpoint, peak_kb):
    """Maximum resident set sizes of exports of EfficientViT-SAM L0 and XL1."""
    assert memory_for_export(checkpoint) == pytest.approx(peak_kb * 1024, rel=0.06)


def test_available_memory_is_less_than_all_of_it():
    complete = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory() <= complete


def test_a_machine_with_too_little_is_warned(monkeypatch, tmp_path):
    info = tmp_path / "meminfo"
    info.write_text("MemTotal:        4000000 kB\nMemAvailable:    2000000 kB\n")
    monkeypatch.setattr(memory, "available_memory", lambda: available_memory(info))
    assert "6.0 GB of memory and 2.0 GB are available" in memory_warning(814_000_000)
    assert not memory_warning(139_000_000) and not memory_warning(None)
    info.write_text("MemTotal: 4000000 kB\n")
    assert available_memory(info) is None and not memory_warning(814_000_000)
    assert available_memory(tmp_path / "no") is None
