# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the training tests: data of drawn shapes, and one thread for torch."""

import os

import pytest
import torch

from .drawn_shapes import write_data
from .sa1b_data import write_damaged_shards

# The threads of OpenMP wait for each other at every layer: with another process on one of the cores, a
# training of a tiny model took 30 times as long with two threads as with one. Child processes inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_runtime_beside_torch(monkeypatch):
    """OpenVINO's native code crashed in the process in which torch had trained."""
    monkeypatch.setattr("evitsam_ros.backends.openvino_backend.OpenVinoBackend.auto_rank", 40)


@pytest.fixture(scope="session")
def shapes_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_data(folder, "shapes_train", 12, seed=1)
    write_data(folder, "shapes_val", 4, seed=2)
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_damaged_shards(tmp_path_factory.mktemp("shards"))
