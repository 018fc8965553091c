# SPDX-License-Identifier: Apache-2.0
"""Calls of CUDA by cuda-bindings or by pycuda, on one GPU and in its primary context.

The primary context is the one that torch and CuPy use too. Which GPU and which context a call is for belongs
to the calling thread, so every call makes them current first: ROS callbacks come from any thread.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np

from ..tensorrt.api import gpu_index
from .base import BackendError


class Cuda(Protocol):
    """The few calls that the TensorRT runner makes; ``pointer`` and ``stream`` are addresses."""

    def active(self) -> AbstractContextManager[None]:
        """Make the GPU the calling thread's for a block, as TensorRT's own calls need it."""

    def stream(self) -> int: ...

    def close_stream(self, stream: int) -> None: ...

    def allocate(self, size: int) -> int: ...

    def free(self, pointer: int) -> None: ...

    def pinned(self, size: int) -> np.ndarray: ...

    def free_pinned(self, host: np.ndarray) -> None:
        """Free what :meth:`pinned` returned; nothing may read the array any more."""

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None: ...

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None: ...

    def wait(self, stream: int) -> None: ...

    def kernel(self, cubin: bytes, name: str) -> Any: ...

    def unload(self, kernel: Any) -> None: ...

    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        """Queue a kernel; arguments are addresses (int) and NumPy scalars."""

    def record(self, work: Callable[[], None], stream: int) -> Any:
        """What ``work`` queues, as a CUDA graph; None where these bindings have none."""

    def replay(self, graph: Any, stream: int) -> None: ...

    def drop_graph(self, graph: Any) -> None: ...

    def event(self) -> Any:
        """An event that takes the time."""

    def drop_event(self, event: Any) -> None: ...

    def mark(self, event: Any, stream: int) -> None: ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Between two events that are over."""


class _OneGpu:
    """A GPU that is made current in the calling thread, once however deep the blocks are nested."""

    def __init__(self) -> None:
        self._depth = threading.local()

    def enter(self) -> Any:
        """Make it current; what was before."""
        raise NotImplementedError

    def leave(self, before: Any) -> None:
        raise NotImplementedError

    @contextmanager
    def active(self) -> Iterator[None]:
        depth = getattr(self._depth, "value", 0)
        before = None if depth else self.enter()
        self._depth.value = depth + 1
        try:
            yield
        finally:
            self._depth.value = depth
            if not depth:
                self.leave(before)


def _active(method: Callable) -> Callable:
    """A method that runs with its GPU current."""

    @functools.wraps(method)
    def run(self: _OneGpu, *arguments: Any) -> Any:
        with self.active():
            return method(self, *arguments)

    return run


class CudaBindings(_OneGpu):
    """NVIDIA's cuda-bindings: wheels for every platform; the runtime API, so the primary context."""

    def __init__(self) -> None:
        super().__init__()
        from cuda.bindings import runtime

        self.api, self.index = runtime, gpu_index()
        with self.active():
            self._call(runtime.cudaFree(0))  # makes the context, or says why there can be none

    def enter(self) -> int:
        before = int(self._call(self.api.cudaGetDevice()))
        if before != self.index:
            self._call(self.api.cudaSetDevice(self.index))
        return before

    def leave(self, before: int) -> None:
        if before != self.index:
            self._call(self.api.cudaSetDevice(before))

    def _call(self, result: tuple) -> Any:
        error, *values = result
        if int(error):
            runtime = isinstance(error, self.api.cudaError_t)
            said = self.api.cudaGetErrorString(error)[1].decode() if runtime else error.name
            raise BackendError(
                f"CUDA: {said} (error {int(error)}); is the NVIDIA driver there? nvidia-smi tells"
            )
        return values[0] if values else None

    @_active
    def stream(self) -> int:
        return int(self._call(self.api.cudaStreamCreate()))

    @_active
    def close_stream(self, stream: int) -> None:
        self._call(self.api.cudaStreamDestroy(stream))

    @_active
    def allocate(self, size: int) -> int:
        return int(self._call(self.api.cudaMalloc(size)))

    @_active
    def free(self, pointer: int) -> None:
        self._call(self.api.cudaFree(pointer))

    @_active
    def pinned(self, size: int) -> np.ndarray:
        address = int(self._call(self.api.cudaMallocHost(size)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    @_active
    def free_pinned(self, host: np.ndarray) -> None:
        self._call(self.api.cudaFreeHost(host.ctypes.data))

    @_active
    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        kind = self.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self.api.cudaMemcpyAsync(pointer, host.ctypes.data, host.nbytes, kind, stream))

    @_active
    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        kind = self.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self.api.cudaMemcpyAsync(host.ctypes.data, pointer, host.nbytes, kind, stream))

    @_active
    def wait(self, stream: int) -> None:
        self._call(self.api.cudaStreamSynchronize(stream))

    @_active
    def kernel(self, cubin: bytes, name: str) -> Any:
        from cuda.bindings import driver

        module = self._call(driver.cuModuleLoadData(cubin))
        return module, self._call(driver.cuModuleGetFunction(module, name.encode()))

    @_active
    def unload(self, kernel: Any) -> None:
        from cuda.bindings import driver

        self._call(driver.cuModuleUnload(kernel[0]))

    @_active
    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        from cuda.bindings import driver

        kinds = {int: ctypes.c_void_p, np.int32: ctypes.c_int, np.float32: ctypes.c_float}
        values = tuple(a if isinstance(a, int) else a.item() for a in arguments)
        packed = (values, tuple(kinds[type(a)] for a in arguments))
        self._call(driver.cuLaunchKernel(kernel[1], *blocks, 1, *threads, 1, 0, stream, packed, 0))

    @_active
    def record(self, work: Callable[[], None], stream: int) -> Any:
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

    @_active
    def replay(self, graph: Any, stream: int) -> None:
        self._call(self.api.cudaGraphLaunch(graph, stream))

    @_active
    def drop_graph(self, graph: Any) -> None:
        self._call(self.api.cudaGraphExecDestroy(graph))

    @_active
    def event(self) -> Any:
        return self._call(self.api.cudaEventCreate())

    @_active
    def drop_event(self, event: Any) -> None:
        self._call(self.api.cudaEventDestroy(event))

    @_active
    def mark(self, event: Any, stream: int) -> None:
        self._call(self.api.cudaEventRecord(event, stream))

    @_active
    def elapsed_ms(self, start: Any, end: Any) -> float:
        return float(self._call(self.api.cudaEventElapsedTime(start, end)))


class PyCuda(_OneGpu):
    """pycuda in the primary context, which is pushed for every call: pycuda's contexts belong to a thread."""

    def __init__(self) -> None:
        super().__init__()
        import pycuda.driver as driver

        driver.init()
        self.driver = driver
        self.context = driver.Device(gpu_index()).retain_primary_context()
        # pycuda frees what nobody holds, in whatever thread that happens.
        self._streams: dict[int, Any] = {}
        self._blocks: dict[int, Any] = {}

    def enter(self) -> None:
        self.context.push()

    def leave(self, before: None) -> None:
        self.context.pop()

    @_active
    def stream(self) -> int:
        made = self.driver.Stream()
        self._streams[made.handle] = made
        return made.handle

    @_active
    def close_stream(self, stream: int) -> None:
        del self._streams[stream]

    @_active
    def allocate(self, size: int) -> int:
        made = self.driver.mem_alloc(size)
        self._blocks[int(made)] = made
        return int(made)

    @_active
    def free(self, pointer: int) -> None:
        self._blocks.pop(pointer).free()

    @_active
    def pinned(self, size: int) -> np.ndarray:
        return self.driver.pagelocked_empty(size, np.uint8)

    @_active
    def free_pinned(self, host: np.ndarray) -> None:
        host.base.free()

    @_active
    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        self.driver.memcpy_htod_async(pointer, host, self._streams[stream])

    @_active
    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        self.driver.memcpy_dtoh_async(host, pointer, self._streams[stream])

    @_active
    def wait(self, stream: int) -> None:
        self._streams[stream].synchronize()

    @_active
    def kernel(self, cubin: bytes, name: str) -> Any:
        module = self.driver.module_from_buffer(cubin)
        return [module, module.get_function(name)]

    @_active
    def unload(self, kernel: Any) -> None:
        kernel.clear()

    @_active
    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        addresses = [np.uintp(a) if isinstance(a, int) else a for a in arguments]
        kernel[1](*addresses, grid=blocks, block=(*threads, 1), stream=self._streams[stream])

    def record(self, work: Callable[[], None], stream: int) -> Any:
        return None

    def replay(self, graph: Any, stream: int) -> None:
        raise BackendError("pycuda has no CUDA graphs")

    def drop_graph(self, graph: Any) -> None:
        raise BackendError("pycuda has no CUDA graphs")

    @_active
    def event(self) -> Any:
        return self.driver.Event()

    def drop_event(self, event: Any) -> None:
        """Nothing: pycuda destroys an event that nobody holds."""

    @_active
    def mark(self, event: Any, stream: int) -> None:
        event.record(self._streams[stream])

    @_active
    def elapsed_ms(self, start: Any, end: Any) -> float:
        return float(start.time_till(end))
