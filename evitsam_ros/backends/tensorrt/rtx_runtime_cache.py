# SPDX-License-Identifier: Apache-2.0
"""TensorRT-RTX compiles kernels when an engine first runs; kept beside it, the next start has them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .engine_cache import write_whole

SUFFIX = ".rtxcache"


class RuntimeCache:
    """The runtime cache of one engine. TensorRT-RTX itself refuses one of another GPU, driver or version."""

    def __init__(self, engine: Any, path: Path) -> None:
        self.path = path
        self.config = engine.create_runtime_config()
        self.cache = self.config.create_runtime_cache()
        if path.is_file():
            self.cache.deserialize(path.read_bytes())
        self.config.set_runtime_cache(self.cache)
        self.saved: set[int] = set()

    def ran(self, profile: int) -> None:
        """Save what the first execution of a profile has compiled; call it after an execution."""
        if profile in self.saved:
            return
        self.saved.add(profile)
        # A read-only or full disk costs a slower start, nothing else.
        with contextlib.suppress(OSError):
            write_whole(self.path, bytes(self.cache.serialize()))
