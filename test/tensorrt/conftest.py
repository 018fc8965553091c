# SPDX-License-Identifier: Apache-2.0
"""Provide TensorRT-RTX, which builds without a GPU, and a cache of the test's own."""

import pytest

from evitsam_ros.backends.tensorrt.api import find_tensorrt


@pytest.fixture(scope="session")
def rtx():
    """Return TensorRT-RTX, of requirements/dev.txt."""
    return find_tensorrt("tensorrt_rtx")


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "evitsam"
