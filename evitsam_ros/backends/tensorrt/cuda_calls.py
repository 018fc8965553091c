# SPDX-License-Identifier: Apache-2.0
"""Call CUDA on one GPU in its primary context, by cuda-bindings.

torch and CuPy use the primary context too. The current GPU and context belong to the calling thread, so every
call makes them current first: ROS callbacks come from any thread.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..base import BackendError
from ..gpu import gpu_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cuda(Protocol):
    """The CUDA calls of the TensorRT runner; ``pointer`` and ``stream`` are addresses."""

    def active(self) -> AbstractContextManager[None]:
        """Make the GPU current in the calling thread for a block, as TensorRT's own calls need it."""

    def stream(self) -> int:
        """Create a stream."""

    def close_stream(self, stream: int) -> None:
        """Destroy a stream."""

    def allocate(self, size: int) -> int:
        """Allocate device memory, in bytes; return its address."""

    def free(self, pointer: int) -> None:
        """Free device memory."""

    def pinned(self, size: int) -> np.ndarray:
        """Allocate pinned host memory ``(size,)`` uint8."""

    def free_pinned(self, host: np.ndarray) -> None:
        """Free an array of :meth:`pinned`, which must not be read any more."""

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        """Queue a copy to the device."""

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        """Queue a copy to the host."""

    def wait(self, stream: int) -> None:
        """Wait for all work on a stream."""

    def kernel(self, cubin: bytes, name: str) -> Any:
        """Load a kernel of a cubin."""

    def unload(self, kernel: Any) -> None:
        """Unload a kernel."""

    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        """Queue a kernel; arguments are addresses (int) and NumPy scalars."""

    def record(self, work: Callable[[], None], stream: int) -> Any:
        """Record the calls of ``work`` as a CUDA graph; return None if these bindings have no graphs."""

    def replay(self, graph: Any, stream: int) -> None:
        """Queue a CUDA graph."""

    def drop_graph(self, graph: Any) -> None:
        """Destroy a CUDA graph."""

    def event(self) -> Any:
        """Create an event with a time stamp."""

    def drop_event(self, event: Any) -> None:
        """Destroy an event."""

    def mark(self, event: Any, stream: int) -> None:
        """Record an event on a stream."""

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the milliseconds between two finished events."""


class OneGpu:
    """A GPU that is made current in the calling thread, once for nested blocks."""

    def __init__(self) -> None:
        self._depth = threading.local()

    def enter(self) -> Any:
        """Make it current; return the previous state."""
        raise NotImplementedError

    def leave(self, before: Any) -> None:
        """Restore the previous state."""
        raise NotImplementedError

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the GPU current for a block."""
        depth = getattr(self._depth, "value", 0)
        before = None if depth else self.enter()
        self._depth.value = depth + 1
        try:
            yield
        finally:
            self._depth.value = depth
            if not depth:
                self.leave(before)


def makes_current(method: Callable) -> Callable:
    """Make a method run with its GPU current."""

    @functools.wraps(method)
    def run(self: OneGpu, *arguments: Any) -> Any:
        with self.active():
            return method(self, *arguments)

    return run


class CudaBindings(OneGpu):
    """NVIDIA's cuda-bindings: wheels for every platform; the runtime API, so the primary context."""

    def __init__(self) -> None:
        super().__init__()
        from cuda.bindings import runtime

        self.api, self.index = runtime, gpu_index()
        with self.active():
            self._call(runtime.cudaFree(0))  # creates the context, or fails with the reason

    def enter(self) -> int:
        """Set the current GPU; return the previous one."""
        before = int(self._call(self.api.cudaGetDevice()))
        if before != self.index:
            self._call(self.api.cudaSetDevice(self.index))
        return before

    def leave(self, before: int) -> None:
        """Restore the previous GPU."""
        if before != self.index:
            self._call(self.api.cudaSetDevice(before))

    def _call(self, result: tuple) -> Any:
        error, *values = result
        if int(error):
            runtime = isinstance(error, self.api.cudaError_t)
            message = self.api.cudaGetErrorString(error)[1].decode() if runtime else error.name
            raise BackendError(
                f"CUDA: {message} (error {int(error)}); check the NVIDIA driver with nvidia-smi"
            )
        return values[0] if values else None

    @makes_current
    def stream(self) -> int:
        """Create a stream."""
        return int(self._call(self.api.cudaStreamCreate()))

    @makes_current
    def close_stream(self, stream: int) -> None:
        """Destroy a stream."""
        self._call(self.api.cudaStreamDestroy(stream))

    @makes_current
    def allocate(self, size: int) -> int:
        """Allocate device memory, in bytes; return its address."""
        return int(self._call(self.api.cudaMalloc(size)))

    @makes_current
    def free(self, pointer: int) -> None:
        """Free device memory."""
        self._call(self.api.cudaFree(pointer))

    @makes_current
    def pinned(self, size: int) -> np.ndarray:
        """Allocate pinned host memory ``(size,)`` uint8."""
        address = int(self._call(self.api.cudaMallocHost(size)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    @makes_current
    def free_pinned(self, host: np.ndarray) -> None:
        """Free pinned host memory."""
        self._call(self.api.cudaFreeHost(host.ctypes.data))

    @makes_current
    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        """Queue a copy to the device."""
        kind = self.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self.api.cudaMemcpyAsync(pointer, host.ctypes.data, host.nbytes, kind, stream))

    @makes_current
    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        """Queue a copy to the host."""
        kind = self.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self.api.cudaMemcpyAsync(host.ctypes.data, pointer, host.nbytes, kind, stream))

    @makes_current
    def wait(self, stream: int) -> None:
        """Wait for all work on a stream."""
        self._call(self.api.cudaStreamSynchronize(stream))

    @makes_current
    def kernel(self, cubin: bytes, name: str) -> Any:
        """Load a kernel of a cubin."""
        from cuda.bindings import driver

        module = self._call(driver.cuModuleLoadData(cubin))
        return module, self._call(driver.cuModuleGetFunction(module, name.encode()))

    @makes_current
    def unload(self, kernel: Any) -> None:
        """Unload a kernel."""
        from cuda.bindings import driver

        self._call(driver.cuModuleUnload(kernel[0]))

    @makes_current
    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        """Queue a kernel."""
        from cuda.bindings import driver

        kinds = {int: ctypes.c_void_p, np.int32: ctypes.c_int, np.float32: ctypes.c_float}
        values = tuple(a if isinstance(a, int) else a.item() for a in arguments)
        packed = (values, tuple(kinds[type(a)] for a in arguments))
        self._call(driver.cuLaunchKernel(kernel[1], *blocks, 1, *threads, 1, 0, stream, packed, 0))

    @makes_current
    def record(self, work: Callable[[], None], stream: int) -> Any:
        """Record the calls of ``work`` as a CUDA graph."""
        mode = self.api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(self.api.cudaStreamBeginCapture(stream, mode))
        try:
            work()
        finally:
            graph = self._call(self.api.cudaStreamEndCapture(stream))
        try:
            return self._call(self.api.cudaGraphInstantiate(graph, 0))
        finally:
            self._call(self.api.cudaGraphDestroy(graph))

    @makes_current
    def replay(self, graph: Any, stream: int) -> None:
        """Queue a CUDA graph."""
        self._call(self.api.cudaGraphLaunch(graph, stream))

    @makes_current
    def drop_graph(self, graph: Any) -> None:
        """Destroy a CUDA graph."""
        self._call(self.api.cudaGraphExecDestroy(graph))

    @makes_current
    def event(self) -> Any:
        """Create an event."""
        return self._call(self.api.cudaEventCreate())

    @makes_current
    def drop_event(self, event: Any) -> None:
        """Destroy an event."""
        self._call(self.api.cudaEventDestroy(event))

    @makes_current
    def mark(self, event: Any, stream: int) -> None:
        """Record an event on a stream."""
        self._call(self.api.cudaEventRecord(event, stream))

    @makes_current
    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the milliseconds between two finished events."""
        return float(self._call(self.api.cudaEventElapsedTime(start, end)))
