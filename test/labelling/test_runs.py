# SPDX-License-Identifier: Apache-2.0
"""Runs of ``evitsam label``: killed, repeated, with inputs that end native code, without Ray."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from .scenes import DEADLY, command, deadly, files_of, png, rows, run, write_bag, write_folder, write_shard


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> list[str]:
    """Return a folder of two units, a shard, and a bag of two cameras."""
    place = tmp_path_factory.mktemp("inputs")
    write_folder(place / "pictures", 70)
    write_shard(place / "shard.tar", 12)
    write_bag(place / "bag", 6, ("/left", "/right"))
    return [str(place / name) for name in ("pictures", "shard.tar", "bag")]


@pytest.fixture(scope="module")
def undisturbed(inputs, options, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("labels") / "out"
    code, printed, errors = run("label", *inputs, "--out", str(out), *options)
    assert code == 0, errors
    assert "94 images" in printed and "188 masks" in printed
    return out


def test_a_second_run_repeats_no_work(undisturbed, inputs, options):
    before = files_of(undisturbed)
    times = {file: file.stat().st_mtime_ns for file in undisturbed.glob("*/*.parquet")}
    code, _, errors = run("label", *inputs, "--out", str(undisturbed), *options, "--json", "/dev/stdout")
    assert code == 0, errors
    assert files_of(undisturbed) == before
    assert {file: file.stat().st_mtime_ns for file in undisturbed.glob("*/*.parquet")} == times


@pytest.mark.parametrize("kill", ["driver", "worker"])
def test_a_run_killed_at_any_moment_has_each_row_once(kill, undisturbed, inputs, options, tmp_path):
    """The driver is killed and the command given again; of a worker nobody notices."""
    out = tmp_path / "out"
    process = command("label", *inputs, "--out", str(out), *options)
    end = time.monotonic() + 300
    while not list(out.glob("masks/*.parquet")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)
    children = children_of(process.pid)
    if kill == "driver":
        process.kill()
        process.communicate()
        assert run("label", *inputs, "--out", str(out), *options)[0] == 0
    else:
        for child in children:
            os.kill(child, signal.SIGKILL)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    assert files_of(out) == files_of(undisturbed)
    assert not list(out.glob("*/.new-*"))
    until = time.monotonic() + 60
    while any(is_running(child) for child in children):
        assert time.monotonic() < until, "the worker outlives the command"
        time.sleep(0.1)


def children_of(pid: int) -> list[int]:
    """Return the Python processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_crash_of_native_code_is_retried_once_and_set_aside(options, tmp_path):
    """Only the image that does it: its neighbours in a folder and in a shard have their rows."""
    folder = write_folder(tmp_path / "pictures", 3)
    clean = tmp_path / "clean"
    assert run("label", str(folder), "--out", str(clean), *options)[0] == 0
    (folder / "bad.png").write_bytes(png(0) + DEADLY)
    shard = write_shard(tmp_path / "shard.tar", 2, {"killer.png": png(0) + DEADLY})
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    words = ("label", str(folder), str(shard), "--out", str(out), *options, "--json", str(summary))
    code, _, errors = run(*words, patch=deadly(tmp_path / "patch"))
    assert code == 3
    assert "bad.png" in errors and "killer.png" in errors and "Traceback" not in errors
    assert len(json.loads(summary.read_text())["failed"]) == 2
    of_folder = [row for row in rows(out) if row["recording"] == str(folder)]
    assert of_folder == rows(clean) and len(rows(out)) == len(of_folder) + 4


def test_a_bag_that_cannot_be_read_is_set_aside_and_named(options, tmp_path):
    good = write_bag(tmp_path / "good", 2)
    bad = tmp_path / "bad.mcap"
    bad.write_bytes(b"\x89MCAP0\r\n and nothing")
    code, _, errors = run("label", str(bad), str(good), "--out", str(tmp_path / "out"), *options)
    assert code == 3 and "set aside" in errors and str(bad) in errors
    assert len(rows(tmp_path / "out")) == 4


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--threads", "1", "--point", "20,20"), "was labelled with points [], and this command has"),
        (("--topic", "/left"), "image_topics"),
        (("--model", "lite_sam"), "was labelled with model colour"),
    ],
)
def test_other_options_in_the_same_folder_are_one_clear_line(words, expected, undisturbed, inputs, options):
    code, _, errors = run("label", *inputs, "--out", str(undisturbed), *options, *words)
    assert code == 1 and expected in errors and len(errors.splitlines()) == 1
    assert "another --out" in errors


def test_a_folder_of_other_things_and_a_changed_input_are_rejected(options, tmp_path):
    (tmp_path / "file.txt").write_text("mine")
    bag = write_bag(tmp_path / "bag", 2)
    code, _, errors = run("label", str(bag), "--out", str(tmp_path), *options)
    assert code == 1 and "expected a new folder" in errors
    out = tmp_path / "out"
    assert run("label", str(bag), "--out", str(out), *options)[0] == 0
    shutil.rmtree(bag)
    write_bag(bag, 3)
    code, _, errors = run("label", str(bag), "--out", str(out), *options)
    assert code == 1 and "has changed since it was labelled" in errors


def test_only_images_added_later_are_labelled(options, tmp_path):
    folder, out = write_folder(tmp_path / "pictures", 3), tmp_path / "out"
    assert run("label", str(folder), "--out", str(out), *options)[0] == 0
    (folder / "image00.png").write_bytes(png(7))
    code, printed, _ = run("label", str(folder), "--out", str(out), *options)
    assert code == 0 and "1 images" in printed
    assert sorted(row["name"] for row in rows(out, "frames")) == [
        *("image0.png", "image00.png", "image1.png", "image2.png")
    ]


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS"])
def test_a_full_disk_is_reported_in_one_line_and_the_next_run_continues(error, options, tmp_path):
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import errno, os\n"
        "sync = os.fsync\n"
        "def fsync(file):\n"
        "    if '/masks/' in os.readlink(f'/proc/self/fd/{file}'):\n"
        f"        raise OSError(errno.{error}, os.strerror(errno.{error}))\n"
        "    return sync(file)\n"
        "os.fsync = fsync\n"
    )
    bag, out = write_bag(tmp_path / "bag", 2), tmp_path / "out"
    code, _, errors = run("label", str(bag), "--out", str(out), *options, patch=patch)
    assert code == 1 and len(errors.splitlines()) == 1
    assert "cannot be written" in errors and "give the same command again" in errors
    assert run("label", str(bag), "--out", str(out), *options)[0] == 0
    assert len(rows(out)) == 4


def test_two_runs_at_once_in_one_folder_are_rejected(options, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, errors = run("label", str(tmp_path), "--out", str(out), *options)
    assert code == 1 and "another 'evitsam label'" in errors
