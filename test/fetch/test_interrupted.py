# SPDX-License-Identifier: Apache-2.0
"""Test fetches that are interrupted, run twice at once, or run out of disk space."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from evitsam_ros.bundle import installed_bundles
from evitsam_ros.fetch.errors import FetchError
from evitsam_ros.fetch.fetch import fetch, fetch_named, install_brought
from evitsam_ros.fetch.pack import pack_bundle

from .conftest import DOWNLOAD, FETCH, OPTIONS, PATH, entry, tree
from .server import chunked, held, slow


def process(file, *options: str, **settings) -> subprocess.Popen:
    """Fetch in a process of its own."""
    values = {key: getattr(file, key) for key in ("base", "sha256", "size", "model")}
    command = [sys.executable, "-c", FETCH, json.dumps(values), *options]
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **pipes, **settings)


def until(condition, seconds: float = 300.0) -> None:
    """Wait for a condition; the limit is a guard."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_download_is_resumed(offered, server, checkpoint, data, lines):
    server.faults[PATH] = [slow(100, 0.2)]
    part = data / "downloads" / "small_sam.pt.part"
    running = process(offered, "--download-only")
    until(lambda: part.is_file() and part.stat().st_size > 500_000)
    running.kill()
    running.communicate()
    kept = part.stat().st_size
    assert 500_000 < kept < len(checkpoint)
    assert fetch_named("small_sam", DOWNLOAD, lines.append).read_bytes() == checkpoint
    assert server.requests[-1] == (PATH, f"bytes={kept}-")


def test_an_interrupted_download_is_reported_in_one_line(offered, server, data):
    server.faults[PATH] = [slow(100, 0.2)]
    running = process(offered)
    part = data / "downloads" / "small_sam.pt.part"
    until(lambda: part.is_file() and part.stat().st_size > 200_000)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 1 and errors.splitlines()[-1] == "evitsam fetch: interrupted"


def test_a_killed_export_leaves_no_bundle(offered, data, lines, bundle_folder, tmp_path):
    running = process(offered)
    models = data / "models"
    until(
        lambda: (
            (models.is_dir() and any(models.glob(".small_sam-*/encoder.onnx"))) or running.poll() is not None
        )
    )
    running.kill()
    running.communicate()
    assert "small_sam" not in installed_bundles()
    assert not any(name.startswith(".") for name in installed_bundles())
    assert len(list(models.iterdir())) == 1
    packed = pack_bundle(shutil.copytree(bundle_folder, tmp_path / "small_sam"), tmp_path / "small_sam.tar")
    install_brought(packed, OPTIONS, lines.append)
    assert [path.name for path in models.iterdir()] == ["small_sam"]


def test_two_fetches_at_once_download_one_file(offered, server, data):
    waiting = threading.Event()
    server.faults[PATH] = [held(waiting)]
    first = process(offered, "--download-only")
    until(lambda: server.requests)
    second = process(offered, "--download-only")
    try:
        lines = [second.stderr.readline() for _ in range(2)]
    finally:
        waiting.set()
    answers = [running.communicate(timeout=600) for running in (first, second)]
    assert "waiting until it has ended" in lines[1]
    assert [first.returncode, second.returncode] == [0, 0], answers
    assert len(server.requests) == 1 and answers[0][0] == answers[1][0]


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A file system of 2 MB as data folder."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_too_small_is_named_before_the_download(offered, server, small_disk, lines):
    with pytest.raises(FetchError, match=r"MB are needed and \d MB are free.*XDG_DATA_HOME"):
        fetch_named("small_sam", OPTIONS, lines.append)
    assert not server.requests


def test_a_full_disk_is_reported_and_leaves_no_file(server, checkpoint, small_disk, lines):
    server.files[PATH] = checkpoint
    server.faults[PATH] = [chunked]
    file = entry(server.url, checkpoint, size=None, sha256=None)
    with pytest.raises(FetchError, match="the disk is full"):
        fetch(file, DOWNLOAD, lines.append)
    assert not tree(small_disk / "evitsam")
