# SPDX-License-Identifier: Apache-2.0
"""A bundle that finds coloured patches, for all tests of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.nodes.colour_bundle import write_colour_bundle


@pytest.fixture(scope="session")
def colour(tmp_path_factory) -> Path:
    return write_colour_bundle(tmp_path_factory.mktemp("bundle") / "colour")


@pytest.fixture(scope="session")
def options(colour) -> tuple[str, ...]:
    """Return the options of most runs: two boxes, on the fastest runtime to start."""
    boxes = ("--box", "5,15,70,55", "--box", "80,55,120,90")
    return (*boxes, "--model", str(colour), "--backend", "onnxruntime", "--threads", "1")
