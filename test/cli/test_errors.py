# SPDX-License-Identifier: Apache-2.0
"""Whatever is raised is one line; what a shell does to a command is no error with a traceback."""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import yaml

from evitsam_ros.cli.errors import one_line, run_safely

from ..conftest import ROOT

EVITSAM = [sys.executable, "-m", "evitsam_ros.cli"]


def cv2_error() -> Exception:
    try:
        cv2.cvtColor(np.zeros((2, 2), np.uint8), cv2.COLOR_BGR2GRAY)
    except cv2.error as error:
        return error
    raise AssertionError


def yaml_error() -> Exception:
    try:
        yaml.safe_load("{{{")
    except yaml.YAMLError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\nlines"), "two lines"),
        (FileNotFoundError(2, "No such file or directory", "nowhere.json"), "nowhere.json: No such file"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", b"caf\xe9"), "caf\udce9: Permission denied"),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory: Unable to allocate"),
        (MemoryError(), "not enough memory"),
        (KeyboardInterrupt(), "interrupted"),
        (ImportError("No module named 'torch'"), "'evitsam doctor' has the install command"),
        (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid"), "can't decode byte"),
        (KeyError("x"), "KeyError: 'x'; EVITSAM_DEBUG=1 shows where"),
        (ValueError(), "ValueError"),
        (cv2_error(), "EVITSAM_DEBUG=1"),
        (yaml_error(), "EVITSAM_DEBUG=1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_exception_is_one_line(error, words, capsys):
    def command() -> int:
        raise error

    assert run_safely("evitsam test", command, debug=False) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("evitsam test: ") and len(printed.err.splitlines()) == 1
    assert words in one_line(error) and not printed.out


def test_the_traceback_is_shown_on_request(capsys):
    assert run_safely("evitsam test", lambda: {}["x"], debug=True) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and printed.strip().endswith("KeyError: 'x'; EVITSAM_DEBUG=1 shows where")


@pytest.mark.parametrize(
    ("words", "variables", "shown"),
    [
        (["segment", "nowhere.jpg", "--everything"], {}, False),
        (["segment", "nowhere.jpg", "--everything", "--traceback"], {}, True),
        (["--traceback", "segment", "nowhere.jpg", "--everything"], {}, True),
        (["segment", "nowhere.jpg", "--everything"], {"EVITSAM_DEBUG": "1"}, True),
        (["segment", "nowhere.jpg", "--everything"], {"EVITSAM_DEBUG": "0"}, False),
    ],
)
def test_ways_to_request_the_traceback(words, variables, shown):
    done = subprocess.run(
        [*EVITSAM, *words], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **variables}
    )
    assert done.returncode == 1 and ("Traceback" in done.stderr) == shown
    assert done.stderr.splitlines()[-1].startswith("evitsam segment: nowhere.jpg cannot be read")


@pytest.mark.parametrize(("words", "code"), [(["models"], 1), (["models", "--help"], 0), (["doctor"], 1)])
def test_a_closed_pipe_is_not_an_error(words, code):
    """As ``| head`` when it has its lines; argparse calls that a success."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*EVITSAM, *words], stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(write)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_closed_stdout_is_no_error():
    command = f"exec {sys.executable} -m evitsam_ros.cli models >&-"
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([*EVITSAM, "models"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_interrupted_command_leaves_one_line_and_no_output(tmp_path, photograph):
    (tmp_path / "frames").mkdir()
    for number in range(300):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), photograph[:64, :64])
    command = [*EVITSAM, "segment", str(tmp_path / "frames"), "--everything", "--precision", "fp32"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        end = time.monotonic() + 180
        while not list(tmp_path.glob(".evitsam-*/video.avi")) and time.monotonic() < end:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=120)[1]
    assert process.returncode == 1 and error == "evitsam segment: interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
