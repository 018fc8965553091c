# SPDX-License-Identifier: Apache-2.0
"""``evitsam label`` on Ray: the same files as in one process, also after kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from test.labelling.scenes import DEADLY, command, deadly, files_of, png, rows, run, write_folder, write_shard

from .conftest import until

#: 127.0.0.1 in the kernel's tables, and as an address of IPv6.
LOOPBACK, MAPPED_LOOPBACK = "0100007F", "0000000000000000FFFF00000100007F"


def processes() -> dict[int, str]:
    """Return the command lines of this user's processes by id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            found[int(place.name)] = (
                (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
    return found


def listening(pids: set[int]) -> set[str]:
    """Return the addresses on which processes listen, as the kernel writes them."""
    sockets = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(str(entry.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].rpartition(":")[0])
    return found


def born(pid: int) -> tuple[int, str]:
    """Return what tells a process from a later one of the same id: the time of its start."""
    try:
        return pid, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return pid, ""


def are_gone(known: set[tuple[int, str]]) -> bool:
    return not [one for one in known if one[1] and born(one[0]) == one]


def below(pid: int) -> set[int]:
    """Return all descendants of a process."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        try:
            text = "".join(p.read_text() for p in Path(f"/proc/{waiting.pop()}/task").glob("*/children"))
        except OSError:
            continue
        new = {int(child) for child in text.split()} - found
        found |= new
        waiting += new
    return found


def test_two_workers_write_the_same_files_as_one_process_and_clean_up(inputs, options, undisturbed, tmp_path):
    out, summary = tmp_path / "out", tmp_path / "summary.json"
    temporary = Path(tempfile.mkdtemp(prefix="", dir="/tmp"))  # short: sockets lie below it
    words = ("label", *inputs, "--out", str(out), *options, "--workers", "2", "--json", str(summary))
    process = command(*words, TMPDIR=str(temporary))
    seen: set[tuple[int, str]] = set()
    while process.poll() is None:
        seen |= {born(pid) for pid in below(process.pid)}
        try:
            process.wait(0.5)
        except Exception:
            continue
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert files_of(out) == files_of(undisturbed)
    found = json.loads(summary.read_text())
    assert found["images"] == 370 and found["masks"] == 740 and not found["failed"]
    assert len(seen) > 4, "Ray and two workers have run"
    until(lambda: are_gone(seen))
    # ONNX Runtime leaves a file for its telemetry, with and without Ray.
    until(lambda: {path.name for path in temporary.iterdir()} <= {".ses"})
    shutil.rmtree(temporary)


def test_ray_listens_on_loopback_only_and_ends_with_its_driver(tmp_path, inputs, options):
    """Ray's own processes of ``--workers`` have no socket on another address, and no dashboard."""
    process = command("label", *inputs, "--out", str(tmp_path / "out"), *options, "--workers", "1")
    try:
        until(lambda: any("raylet" in processes().get(p, "") for p in below(process.pid)), process)
        until(lambda: list((tmp_path / "out").glob("masks/*.parquet")), process)
        ours = below(process.pid)
        addresses = listening(ours)
        assert addresses and addresses <= {LOOPBACK, MAPPED_LOOPBACK}
        boards = [text for pid, text in processes().items() if pid in ours and "dashboard.py" in text]
        assert all("--disable-frontend" in text for text in boards)
        known = {born(pid) for pid in ours}
        process.kill()  # the driver dies without a word to its workers
        process.communicate()
        until(lambda: are_gone(known))
    finally:
        process.kill()
        process.communicate()
    code, _, errors = run("label", *inputs, "--out", str(tmp_path / "out"), *options)
    assert code == 0, errors


@pytest.mark.parametrize("lost", ["worker", "process of native code", "node"])
def test_lost_nodes_and_workers_do_not_change_the_result(
    lost, cluster, inputs, options, undisturbed, tmp_path
):
    out = tmp_path / "out"
    process = command("label", *inputs, "--out", str(out), *options, "--ray", cluster.address)
    until(lambda: list(out.glob("masks/*.parquet")), process)
    if lost == "node":
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        cluster.add_node(num_cpus=1, **cluster.node_options)
    else:
        word = "MapWorker" if lost == "worker" else "spawn_main"
        named = [pid for pid, text in processes().items() if word in text and pid != os.getpid()]
        assert named
        os.kill(named[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert files_of(out) == files_of(undisturbed)


def test_a_crash_of_native_code_loses_only_its_image(options, tmp_path):
    """The patched decoder reaches the workers by ``PYTHONPATH``, as on a machine of its own."""
    folder = write_folder(tmp_path / "pictures", 3)
    (folder / "bad.png").write_bytes(png(0) + DEADLY)
    shard = write_shard(tmp_path / "shard.tar", 2)
    out = tmp_path / "out"
    words = ("label", str(folder), str(shard), "--out", str(out), *options, "--workers", "2")
    code, _, errors = run(*words, patch=deadly(tmp_path / "patch"))
    assert code == 3 and "bad.png" in errors, errors
    assert len(rows(out)) == 10


def test_a_cluster_that_is_not_there_is_one_clear_line(options, tmp_path, inputs):
    code, _, errors = run("label", *inputs, "--out", str(tmp_path / "o"), *options, "--ray", "127.0.0.1:1")
    assert code == 1 and "no cluster of Ray answers at 127.0.0.1:1" in errors.splitlines()[-1]
