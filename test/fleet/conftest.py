# SPDX-License-Identifier: Apache-2.0
"""One cluster of Ray in this machine for all tests, and undisturbed labels to compare with."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import pytest

from test.labelling.scenes import options_of, run, write_bag, write_folder, write_shard
from test.nodes.colour_bundle import write_colour_bundle

# Ray is not imported here: it reads its variables when it is.
collect_ignore_glob = [] if find_spec("ray") else ["test_*.py"]


@pytest.fixture(scope="session")
def colour(tmp_path_factory) -> Path:
    return write_colour_bundle(tmp_path_factory.mktemp("bundle") / "colour")


@pytest.fixture(scope="session")
def options(colour) -> tuple[str, ...]:
    return options_of(colour)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> list[str]:
    """Return ten units: of two folders, three shards, and a bag of two cameras."""
    place = tmp_path_factory.mktemp("inputs")
    write_folder(place / "pictures", 70)
    write_folder(place / "more", 130)
    for number in range(3):
        write_shard(place / f"shard{number}.tar", 30)
    write_bag(place / "bag", 40, ("/left", "/right"))
    return [str(place / name) for name in ("pictures", "more", "bag", "*.tar")]


@pytest.fixture(scope="session")
def undisturbed(inputs, options, tmp_path_factory) -> Path:
    """Label everything in one process."""
    out = tmp_path_factory.mktemp("labels") / "out"
    code, _, errors = run("label", *inputs, "--out", str(out), *options)
    assert code == 0, errors
    return out


@pytest.fixture(scope="session")
def cluster():
    """Start a cluster of a head without CPUs and two nodes of one CPU; yield it and its address."""
    # Of this session alone, for the cluster and for the commands that join it.
    mine = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex}
    os.environ.update(mine)
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: sockets lie below it
    os.environ["RAY_TMPDIR"] = folder
    import ray
    from ray.cluster_utils import Cluster

    Path(folder, "ray").mkdir()
    small = {"object_store_memory": 80 << 20, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    started.node_options = small
    try:
        for _ in range(2):
            started.add_node(num_cpus=1, **small)
        yield started
    finally:
        ray.shutdown()
        started.shutdown()
        for name in (*mine, "RAY_TMPDIR"):
            os.environ.pop(name)
        shutil.rmtree(folder, ignore_errors=True)


def until(condition, process=None, seconds: float = 300.0) -> None:
    """Wait for a condition; a guard against hanging."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)
