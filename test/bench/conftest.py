# SPDX-License-Identifier: Apache-2.0
"""Made-up runs of the benchmark, a domain of its own, and a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.known_bundle import write_known_bundle
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Part, Ratio
from evitsam_ros.profiler.report import Report

CPU = "a CPU"


def made_up(networks: float = 2.0, cost: float = 3.0, cpu: str = CPU, **changes) -> Report:
    """A run with two ratios: a speed of ``networks`` times, and a cost of ``cost`` times its floor."""
    part = Part(
        [
            Figure(
                "networks/encoder/openvino", "encoder, openvino", "ms", [90.0, 100.0, 110.0], [50.0] * 3, "it"
            )
        ],
        [Ratio("networks/encoder/openvino: speed", "encoder: torch / openvino", [networks] * 3, MORE)],
    )
    details = {"lost": 1, "sent": 4, "stages_ms": {}}
    trip = Figure("ros/720p/raw/two", "720p raw", "ms", [4.0, 5.0, 9.0], [2.0] * 3, "it", details)
    ros = Part(
        [trip, Figure("ros/720p/raw/two: cost", "720p raw, minus inference", "ms", [3.0, 4.0, 8.0])],
        [Ratio("ros/720p/raw/two: floor", "720p / floor", [cost] * 3, LESS)],
        ["how it was done"],
    )
    values = {
        "command": "python -m bench",
        "date": "2026-11-21T12:00:00+00:00",
        "settings": {"quick": False},
        "made_by": {"commit": "0123456789abcdef", "packages": {"openvino": "1.2"}},
        "machine": {"CPU": cpu, "CPUs of this process": 2},
        "watched": {},
        "parts": {"networks": part, "ros": ros},
        "failed": {},
    }
    return Report(**values | changes)


@pytest.fixture(scope="session")
def known_bundle(tmp_path_factory) -> Path:
    return write_known_bundle(tmp_path_factory.mktemp("engines") / "known")


@pytest.fixture
def domain(monkeypatch, tmp_path) -> None:
    """ROS on loopback in a domain that no other test has."""
    import os

    monkeypatch.setenv("ROS_DOMAIN_ID", str(90 + os.getpid() % 11))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
