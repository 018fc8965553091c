# SPDX-License-Identifier: Apache-2.0
"""Provide made-up runs of the benchmark, a ROS domain and a cache of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.known_bundle import write_known_bundle
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Ratio, Suite
from evitsam_ros.profiler.report import Report

FAMILY = "AuthenticAMD family 25 model 17"
#: The machine of made-up runs.
MACHINE = {
    "CPU": "a CPU",
    "CPU family": FAMILY,
    "instruction sets": "avx2 avx512f",
    "CPUs of this process": 2,
}


def made_up(networks: float = 2.0, cost: float = 3.0, **changes) -> Report:
    """Make a run with two ratios: a speed of ``networks``, and a cost of ``cost`` times its lower bound."""
    networks_suite = Suite(
        [
            Figure(
                "networks/encoder/openvino", "encoder, openvino", "ms", [90.0, 100.0, 110.0], [50.0] * 3, "it"
            )
        ],
        [Ratio("networks/encoder/openvino: speed", "encoder: torch / openvino", [networks] * 3, MORE)],
    )
    details = {"lost": 1, "sent": 4, "stages_ms": {}}
    trip = Figure("ros/720p/raw/two", "720p raw", "ms", [4.0, 5.0, 9.0], [2.0] * 3, "it", details)
    ros = Suite(
        [trip, Figure("ros/720p/raw/two: cost", "720p raw, minus inference", "ms", [3.0, 4.0, 8.0])],
        [Ratio("ros/720p/raw/two: floor", "720p / floor", [cost] * 3, LESS)],
        ["how it was done"],
    )
    values = {
        "command": "python -m bench",
        "date": "2026-11-21T12:00:00+00:00",
        "settings": {"quick": False},
        "made_by": {"commit": "0123456789abcdef", "packages": {"openvino": "1.2"}},
        "machine": dict(MACHINE),
        "watched": {},
        "suites": {"networks": networks_suite, "ros": ros},
        "failed": {},
    }
    return Report(**values | changes)


@pytest.fixture(scope="session")
def known_bundle(tmp_path_factory) -> Path:
    return write_known_bundle(tmp_path_factory.mktemp("engines") / "known")


@pytest.fixture
def domain(monkeypatch, tmp_path) -> None:
    """Use a ROS domain that no other test has."""
    import os

    monkeypatch.setenv("ROS_DOMAIN_ID", str(90 + os.getpid() % 11))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
