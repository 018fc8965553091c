# SPDX-License-Identifier: Apache-2.0
"""A bundle that finds coloured patches, for all tests of labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.nodes.colour_bundle import write_colour_bundle

from .scenes import options_of


@pytest.fixture(scope="session")
def colour(tmp_path_factory) -> Path:
    return write_colour_bundle(tmp_path_factory.mktemp("bundle") / "colour")


@pytest.fixture(scope="session")
def options(colour) -> tuple[str, ...]:
    return options_of(colour)
