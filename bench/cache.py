# SPDX-License-Identifier: Apache-2.0
"""Bundles that the benchmark needs and that take a while to export, kept for the next run."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import evitsam_ros
from evitsam_ros.bundle import BundleError
from evitsam_ros.dense.bundle import open_any_bundle


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/evitsam/bench``, by default under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evitsam" / "bench"


def sources_hash() -> str:
    """Changes with any file that decides what an exported bundle is."""
    package = Path(evitsam_ros.__file__).parent
    files = [*sorted((package / "models").rglob("*.py")), package / "export.py", package / "dense_export.py"]
    files.append(Path(__file__).with_name("known_bundle.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def cached_bundle(name: str, write: Callable[[Path], object]) -> Path:
    """The folder of a bundle; ``write`` makes it where it is missing, damaged, or of other sources."""
    folder = cache_folder() / f"{name}-{sources_hash()[:16]}"
    try:
        open_any_bundle(folder)
    except BundleError:
        for old in cache_folder().glob(f"{name}-*"):
            shutil.rmtree(old)
        write(folder)
    return folder
