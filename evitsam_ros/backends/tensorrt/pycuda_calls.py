# SPDX-License-Identifier: Apache-2.0
"""Make the calls of :mod:`.cuda_calls` by pycuda."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..base import BackendError
from ..gpu import gpu_index
from .cuda_calls import OneGpu, makes_current

if TYPE_CHECKING:
    from collections.abc import Callable


class PyCuda(OneGpu):
    """pycuda in the primary context, which is pushed for every call: pycuda's contexts belong to a thread."""

    def __init__(self) -> None:
        super().__init__()
        import pycuda.driver as driver

        driver.init()
        self.driver = driver
        self.context = driver.Device(gpu_index()).retain_primary_context()
        # pycuda frees unreferenced objects in any thread, so keep references.
        self._streams: dict[int, Any] = {}
        self._blocks: dict[int, Any] = {}

    def enter(self) -> None:
        """Push the context."""
        self.context.push()

    def leave(self, before: None) -> None:
        """Pop the context."""
        self.context.pop()

    @makes_current
    def stream(self) -> int:
        """Create a stream."""
        made = self.driver.Stream()
        self._streams[made.handle] = made
        return made.handle

    @makes_current
    def close_stream(self, stream: int) -> None:
        """Destroy a stream."""
        del self._streams[stream]

    @makes_current
    def allocate(self, size: int) -> int:
        """Allocate device memory, in bytes; return its address."""
        made = self.driver.mem_alloc(size)
        self._blocks[int(made)] = made
        return int(made)

    @makes_current
    def free(self, pointer: int) -> None:
        """Free device memory."""
        self._blocks.pop(pointer).free()

    @makes_current
    def pinned(self, size: int) -> np.ndarray:
        """Allocate pinned host memory ``(size,)`` uint8."""
        return self.driver.pagelocked_empty(size, np.uint8)

    @makes_current
    def free_pinned(self, host: np.ndarray) -> None:
        """Free pinned host memory."""
        cast("Any", host.base).free()

    @makes_current
    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        """Queue a copy to the device."""
        self.driver.memcpy_htod_async(pointer, host, self._streams[stream])

    @makes_current
    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        """Queue a copy to the host."""
        self.driver.memcpy_dtoh_async(host, pointer, self._streams[stream])

    @makes_current
    def wait(self, stream: int) -> None:
        """Wait for all work on a stream."""
        self._streams[stream].synchronize()

    @makes_current
    def kernel(self, cubin: bytes, name: str) -> Any:
        """Load a kernel of a cubin."""
        module = self.driver.module_from_buffer(cubin)
        return [module, module.get_function(name)]

    @makes_current
    def unload(self, kernel: Any) -> None:
        """Unload a kernel."""
        kernel.clear()

    @makes_current
    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        """Queue a kernel."""
        addresses = [np.uintp(a) if isinstance(a, int) else a for a in arguments]
        kernel[1](*addresses, grid=blocks, block=(*threads, 1), stream=self._streams[stream])

    def record(self, work: Callable[[], None], stream: int) -> Any:
        """Return None: pycuda has no CUDA graphs."""
        return None

    def replay(self, graph: Any, stream: int) -> None:
        """Raise ``BackendError``: pycuda has no CUDA graphs."""
        raise BackendError("pycuda has no CUDA graphs")

    def drop_graph(self, graph: Any) -> None:
        """Raise ``BackendError``: pycuda has no CUDA graphs."""
        raise BackendError("pycuda has no CUDA graphs")

    @makes_current
    def event(self) -> Any:
        """Create an event."""
        return self.driver.Event()

    def drop_event(self, event: Any) -> None:
        """Ignore the event: pycuda destroys it after its last reference."""

    @makes_current
    def mark(self, event: Any, stream: int) -> None:
        """Record an event on a stream."""
        event.record(self._streams[stream])

    @makes_current
    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the milliseconds between two finished events."""
        return float(start.time_till(end))
