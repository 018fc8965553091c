# SPDX-License-Identifier: Apache-2.0
"""Store the engines of this machine under ``$XDG_CACHE_HOME/evitsam``, by the inputs of their build.

An engine is code for one GPU and one TensorRT. Each ``.engine`` has a ``.json`` beside it with its key and
its SHA-256; without that, or with another hash, it is not used. Of engines that differ only in profiles and
flags the newest proved one is used; one that was trusted by hand only if no other was proved.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...bundle import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Flag of an unproved engine.
TRUSTED = "trusted"
#: Lock file beside the engines. Writers hold it shared, so that their files are not pruned meanwhile.
LOCK = "lock"


@dataclass(frozen=True)
class EngineKey:
    """All inputs that an engine depends on.

    Attributes:
        model: its name, for messages.
        network: its name, for messages.
        onnx: SHA-256 of the network's file.
        runtime: ``tensorrt 10.3.0`` or ``tensorrt_rtx 1.7.1``.
        target: the GPU and its compute capability.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
        profiles: shapes that it was optimised for.
        flags: further options of the build.
    """

    model: str
    network: str
    onnx: str
    runtime: str
    target: str
    precision: str
    profiles: tuple[Any, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def stem(self) -> str:
        """Return the file name without extension."""
        return f"{self.model}-{self.network}-{self.precision}-{self.digest[:16]}"


@dataclass(frozen=True)
class Entry:
    """An engine in the cache.

    Attributes:
        engine: its file.
        key: the fields of its :class:`EngineKey`.
        size: in bytes.
        problem: reason not to use it; empty for a good one.
        report: its proof.
        built: seconds since the epoch.
    """

    engine: Path
    key: dict[str, Any]
    size: int
    problem: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    built: float = 0.0

    @property
    def trusted(self) -> bool:
        """Return whether it was stored by hand, unproved."""
        return TRUSTED in self.key.get("flags", ())


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/evitsam``, by default ``~/.cache/evitsam``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evitsam"


class EngineCache:
    """Engines and their sidecars in one folder, which need not exist yet."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def store(self, key: EngineKey, engine: bytes | memoryview, report: dict[str, Any]) -> Path:
        """Store an engine; leftovers of a killed process are never used. ``report`` has its proof."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key.stem}.engine"
        sidecar = {
            "key": asdict(key),
            "sha256": hashlib.sha256(engine).hexdigest(),
            "size": len(engine),
            "report": report,
            "built": time.time(),
        }
        with _writing(self.folder):
            # Remove the old sidecar first, so that a sidecar is never beside an engine that is not its own.
            _sidecar(path).unlink(missing_ok=True)
            write_whole(path, engine)
            write_whole(_sidecar(path), json.dumps(sidecar, indent=2).encode())
        return path

    def find(self, key: EngineKey) -> tuple[Path | None, str]:
        """Return the engine for exactly this key, or None and the reason in a line."""
        path = self.folder / f"{key.stem}.engine"
        if path.is_file():
            entry = check_entry(path)
            if entry.problem:
                return None, f"{path.name}: {entry.problem}"
            if entry.key == json.loads(json.dumps(asdict(key))):
                return path, ""
        others = [
            e
            for e in self.entries()
            if (e.key.get("model"), e.key.get("network")) == (key.model, key.network)
        ]
        if not others:
            return None, f"no engine of {key.model} {key.network} was built yet"
        nearest = min((_differences(e.key, asdict(key)) for e in others), key=len)
        return None, f"the engine of {key.model} {key.network} is of another " + ", ".join(nearest)

    def best(self, key: EngineKey, precisions: tuple[str, ...]) -> tuple[Path | None, str]:
        """Return the engine for a key with any profiles and flags.

        Proved ones come before those trusted by hand, then the first of ``precisions``, then the newest.
        """
        same = ("model", "network", "onnx", "runtime", "target")
        found = [
            e
            for e in self.entries()
            if not e.problem
            and e.key["precision"] in precisions
            and all(e.key[n] == getattr(key, n) for n in same)
        ]
        if not found:
            return self.find(key)
        best = min(found, key=lambda e: (e.trusted, precisions.index(e.key["precision"]), -e.built))
        return best.engine, ""

    def entries(self) -> list[Entry]:
        """All engines, good and bad, by name."""
        return [check_entry(path) for path in sorted(self.folder.glob("*.engine"))]

    def prune(self, keep: set[Path] | None = None) -> list[Path]:
        """Remove unusable engines and leftovers of killed builds; with ``keep``, all others too.

        During a build no engine is removed: incomplete ones are still being written.
        """
        if not self.folder.is_dir():
            return []
        with _locked(self.folder) as alone:
            return self._prune(keep) if alone else []

    def _prune(self, keep: set[Path] | None) -> list[Path]:
        removed = list(self.folder.glob("*.tmp"))
        for entry in self.entries():
            if entry.problem or (keep is not None and entry.engine not in keep):
                removed += [entry.engine, _sidecar(entry.engine)]
        beside = [*self.folder.glob("*.json"), *self.folder.glob("*.rtxcache")]
        removed += [p for p in beside if not p.with_suffix(".engine").is_file()]
        gone = sorted({path for path in removed if path.exists()})
        for path in gone:
            path.unlink()
        return gone


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Block :meth:`EngineCache.prune` for a block; a killed process releases it."""
    with (folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock writers out of the folder for a block; yield False without waiting if one is active."""
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def check_entry(engine: Path) -> Entry:
    """Read an engine's sidecar and compare its hash."""
    try:
        sidecar = json.loads(_sidecar(engine).read_text())
        key, expected = sidecar["key"], sidecar["sha256"]
    except FileNotFoundError:
        return Entry(
            engine,
            {},
            engine.stat().st_size,
            "has no sidecar: its build was interrupted, or it is a foreign engine",
        )
    except (ValueError, KeyError, TypeError):
        return Entry(engine, {}, engine.stat().st_size, "its sidecar cannot be read")
    size = engine.stat().st_size
    if size != sidecar.get("size") or sha256(engine) != expected:
        return Entry(engine, key, size, "its content differs from the built engine")
    built = sidecar.get("built", engine.stat().st_mtime)
    return Entry(engine, key, size, "", sidecar.get("report", {}), built)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    new = json.loads(json.dumps(new))
    return [
        f"{name} ({_short(old.get(name))}, not {_short(new[name])})"
        for name in new
        if old.get(name) != new[name]
    ]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def _sidecar(engine: Path) -> Path:
    return engine.with_suffix(".json")


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write to a temporary file, sync, rename: readers see either the old or the new file."""
    with _writing(path.parent):
        _write_and_rename(path, content)


def _write_and_rename(path: Path, content: bytes | memoryview) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
