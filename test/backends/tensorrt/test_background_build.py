# SPDX-License-Identifier: Apache-2.0
"""Test a build beside a running node: taken once, reported if it fails, stopped with the node."""

import sys
import threading
import time

import pytest

from evitsam_ros.backends import Runtime, engines_missing
from evitsam_ros.backends.tensorrt.background_build import EngineSwitch, build_command


def until(done, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(done())


def switch(program: str, opened=lambda: "engines"):
    failures: list[str] = []
    return EngineSwitch([sys.executable, "-c", program], opened, failures.append), failures


def test_engines_are_handed_over_once_when_they_are_ready(tmp_path):
    gate = tmp_path / "gate"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    building, failures = switch(waits)
    assert building.take() is None
    gate.touch()
    found = []
    assert until(lambda: found.append(building.take()) or any(found))
    assert [f for f in found if f] == ["engines"] and building.take() is None and not failures


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('measuring'); print('evitsam build: no GPU found'); raise SystemExit(1)", "no GPU found"),
        ("raise SystemExit(3)", "no output"),
    ],
)
def test_a_failed_build_reports_its_reason(program, reason):
    building, failures = switch(program)
    assert until(lambda: failures)
    assert failures[0].startswith("the engine build failed: ") and failures[0].endswith(reason)
    assert building.take() is None


def test_engines_that_cannot_be_opened_are_reported():
    def refuse():
        raise ValueError("of another GPU")

    building, failures = switch("pass", refuse)
    assert until(lambda: failures)
    assert failures == ["the engine build succeeded, but its result cannot be opened: of another GPU"]
    assert building.take() is None


@pytest.mark.parametrize("taken", [False, True])
def test_untaken_engines_are_closed_with_the_switch(taken):
    opened, closed = threading.Event(), []

    def open_() -> str:
        opened.set()
        return "engines"

    building = EngineSwitch([sys.executable, "-c", "pass"], open_, lambda reason: None, drop=closed.append)
    assert opened.wait(60)
    if taken:
        found = []
        assert until(lambda: found.append(building.take()) or any(found), 60)
    building.stop()
    building.stop()
    assert closed == ([] if taken else ["engines"])


def test_engines_that_open_after_the_end_are_closed(monkeypatch):
    """The node stops while the engines are being opened."""
    opening, go, closed = threading.Event(), threading.Event(), []

    def open_() -> str:
        opening.set()
        go.wait(60)
        return "engines"

    building = EngineSwitch([sys.executable, "-c", "pass"], open_, lambda reason: None, drop=closed.append)
    assert opening.wait(60)
    ending = threading.Thread(target=building.stop)
    ending.start()
    time.sleep(0.1)
    go.set()
    ending.join(60)
    assert until(lambda: closed == ["engines"], 60) and building.take() is None


def test_a_build_ends_with_its_node():
    building, failures = switch("import time; time.sleep(600)")
    start = time.monotonic()
    building.stop()
    assert time.monotonic() - start < 5 and not failures and building.take() is None


def test_the_build_is_the_documented_command(tmp_path):
    assert build_command(tmp_path)[1:] == ["-m", "evitsam_ros.cli", "build", "--model", str(tmp_path)]


def test_no_engine_is_built_without_a_gpu():
    assert not engines_missing(Runtime({}, "", frozenset({"openvino"})))
