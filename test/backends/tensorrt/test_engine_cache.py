# SPDX-License-Identifier: Apache-2.0
"""Test that the cache returns complete engines of the exact key, whatever happens to the writing process."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from evitsam_ros.backends.tensorrt.engine_cache import (
    TRUSTED,
    EngineCache,
    EngineKey,
    cache_folder,
    check_entry,
    write_whole,
)

KEY = EngineKey("lite_sam", "encoder", "ab" * 32, "tensorrt 10.3.0", "Orin sm87", "fp16", ((("x", (1, 2)),),))


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "cache")


def test_an_engine_is_found_by_its_exact_key_only(cache):
    path = cache.store(KEY, b"engine", {"proof": {"mean_iou": 1.0}})
    assert cache.find(KEY) == (path, "")
    assert path.read_bytes() == b"engine"
    assert cache.entries()[0].report == {"proof": {"mean_iou": 1.0}}
    found, reason = cache.find(replace(KEY, target="RTX 4090 sm89"))
    assert found is None and reason.endswith("is of another target (Orin sm87, not RTX 4090 sm89)")
    found, reason = cache.find(replace(KEY, onnx="cd" * 32))
    assert found is None and "another onnx (abababababab…, not cdcdcdcdcdcd…)" in reason
    assert cache.find(replace(KEY, network="decoder"))[1] == "no engine of lite_sam decoder was built yet"


WANTED = replace(KEY, precision="", profiles=())
PROVED = {"proof": {"mean_iou": 1.0}}


def test_the_newest_of_engines_with_other_profiles_is_used(cache):
    """The order of the file names does not matter."""
    for batch in random.Random(3).sample(range(1, 65), 12):
        key = replace(KEY, profiles=((("image", (batch, 3)),),), flags=("rewrite",) * (batch % 2))
        newest = cache.store(key, bytes([batch]), PROVED)
        assert cache.best(WANTED, ("bf16", "fp16")) == (newest, "")


def test_a_manually_trusted_engine_has_the_lowest_rank(cache):
    trusted = cache.store(replace(KEY, flags=(TRUSTED,)), b"foreign", {"proof": "none: trusted by hand"})
    assert cache.best(WANTED, ("fp16", "fp32"))[0] == trusted
    proved = cache.store(replace(KEY, precision="fp32"), b"slow", PROVED)
    cache.store(replace(KEY, flags=(TRUSTED,)), b"foreign", {"proof": "none: trusted by hand"})
    assert cache.best(WANTED, ("fp16", "fp32"))[0] == proved
    assert cache.best(WANTED, ("fp16",))[0] == trusted
    fast = cache.store(KEY, b"fast", PROVED)
    assert cache.best(WANTED, ("fp16", "fp32"))[0] == fast
    fast.write_bytes(b"cut")
    assert cache.best(WANTED, ("fp16", "fp32"))[0] == proved


def test_files_of_a_running_build_are_not_pruned(cache, monkeypatch):
    """Prune at every step of the writing: before each rename, by another process and by this one."""
    script = (
        "import sys; from pathlib import Path;"
        "from evitsam_ros.backends.tensorrt.engine_cache import EngineCache;"
        "print(EngineCache(Path(sys.argv[1])).prune())"
    )
    command = [sys.executable, "-c", script]
    rename, removed = os.replace, []

    def prune_and_rename(source, target):
        assert os.path.exists(source)
        removed.extend(cache.prune())
        if not removed and str(target).endswith(".json"):
            done = subprocess.run([*command, str(cache.folder)], capture_output=True, text=True, check=True)
            assert done.stdout.strip() == "[]"
        rename(source, target)

    monkeypatch.setattr("evitsam_ros.backends.tensorrt.engine_cache.os.replace", prune_and_rename)
    path = cache.store(KEY, b"engine", {})
    assert removed == [] and cache.find(KEY) == (path, "")
    write_whole(path.with_suffix(".rtxcache"), b"kernels")
    assert removed == [] and path.with_suffix(".rtxcache").is_file()
    (cache.folder / "left.tmp").touch()
    assert cache.prune() == [cache.folder / "left.tmp"]
    assert cache.entries()[0].engine == path


def test_changed_truncated_and_foreign_engines_are_rejected_and_pruned(cache):
    path = cache.store(KEY, b"engine", {})
    path.write_bytes(b"Engine")
    assert cache.find(KEY)[1].endswith("its content differs from the built engine")
    path.write_bytes(b"eng")
    assert check_entry(path).problem == "its content differs from the built engine"
    foreign = cache.folder / "from_elsewhere.engine"
    foreign.write_bytes(b"code")
    assert "it is a foreign engine" in check_entry(foreign).problem
    path.with_suffix(".json").write_text("{")
    assert check_entry(path).problem == "its sidecar cannot be read"
    (cache.folder / "left.tmp").write_bytes(b"")
    kept = cache.store(replace(KEY, network="decoder"), b"good", {})
    assert len(cache.prune()) == 4
    assert [e.engine for e in cache.entries()] == [kept]


WRITER = """
import sys
from pathlib import Path
from evitsam_ros.backends.tensorrt.engine_cache import EngineCache
from test.backends.tensorrt.test_engine_cache import KEY
cache, number = EngineCache(Path(sys.argv[1])), 0
print("ready", flush=True)
while True:
    cache.store(KEY, bytes([number % 256]) * 3_000_000, {"number": number})
    number += 1
"""


def test_a_build_killed_at_any_moment_leaves_no_partial_engine(cache):
    chance = random.Random(7)
    for _ in range(6):
        command = [sys.executable, "-c", WRITER, str(cache.folder)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
        writer.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.2))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        found, _ = cache.find(KEY)
        if found is not None:
            content = found.read_bytes()
            assert len(content) == 3_000_000 and len(set(content)) == 1
            assert check_entry(found).report["number"] % 256 == content[0]
    cache.prune()
    assert not list(cache.folder.glob("*.tmp"))


def test_folder_follows_the_xdg_specification(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "evitsam"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "evitsam"
