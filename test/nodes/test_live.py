# SPDX-License-Identifier: Apache-2.0
"""`make live`: camera, segmenter and page come up, and Ctrl-C ends them all."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

from ..conftest import ROOT
from ..web.page_client import PageClient
from .harness import next_domain


def start(folder, *options: str) -> subprocess.Popen:
    """Start it in a session of its own, as a terminal does."""
    environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
    return subprocess.Popen(
        [sys.executable, "-m", "demo.live", *options],
        cwd=folder,
        env=environment
        | {"ROS_DOMAIN_ID": str(next_domain()), "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_page_shows_the_photograph_and_ctrl_c_ends_all(tmp_path):
    process = start(tmp_path, "--port", str(free_port()))
    guard = threading.Timer(600, lambda: os.killpg(process.pid, signal.SIGKILL))
    guard.start()
    try:
        line = process.stdout.readline()
        found = re.search(r"open (http://127\.0\.0\.1:\d+/) .*Ctrl-C", line)
        assert found, line + process.stderr.read()
        with PageClient(found[1]) as page:
            assert page.until(lambda: page.frames and page.state.get("mode"), 300), page.states
            point = {"x": 225, "y": 60, "is_foreground": True, "target": "", "stamp": "0"}
            page.send(type="point", camera="", **point)
            assert page.until(lambda: page.state.get("objects") or page.texts, 300)
            assert page.state["objects"][0]["name"] == "point 1", page.texts
            assert page.frames[-1][2:4] == (512, 512)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes at once
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out.strip(), err) == (0, "live: ended", "")
        log = (tmp_path / "out" / "live" / "live.log").read_text()
        assert "Traceback" not in log and "Error" not in log, log
    finally:
        guard.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_missing_model_is_named(tmp_path):
    process = start(tmp_path, "--model", "sam3")
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1 and "no bundle 'sam3'" in err and "Traceback" not in err


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, "--port", str(port))
        _, err = process.communicate(timeout=600)
    assert (
        process.returncode == 1 and f"127.0.0.1:{port}" in err and "in use" in err and "Traceback" not in err
    )
