# SPDX-License-Identifier: Apache-2.0
"""Memory and streams of a GPU, by cuda-bindings or by pycuda, in the process's primary context.

The primary context is the one that torch and CuPy use too, and every thread sees it: pycuda's usual own
context belongs to one thread, which breaks in ROS callbacks.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .base import BackendError
from .device_clock import DeviceClock


class Cuda(Protocol):
    """The few calls that the TensorRT runner makes; ``pointer`` and ``stream`` are addresses."""

    def stream(self) -> int: ...

    def allocate(self, size: int) -> int: ...

    def pinned(self, size: int) -> np.ndarray: ...

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None: ...

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None: ...

    def wait(self, stream: int) -> None: ...

    def kernel(self, cubin: bytes, name: str) -> Any: ...

    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        """Queue a kernel; arguments are addresses (int) and NumPy scalars."""

    def record(self, work: Callable[[], None], stream: int) -> Any:
        """What ``work`` queues, as a CUDA graph; None where these bindings have none."""

    def replay(self, graph: Any, stream: int) -> None: ...

    def event(self) -> Any:
        """An event that takes the time."""

    def mark(self, event: Any, stream: int) -> None: ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Between two events that are over."""


class CudaBindings:
    """NVIDIA's cuda-bindings: wheels for every platform; the runtime API, so the primary context."""

    def __init__(self) -> None:
        from cuda.bindings import runtime

        self.api = runtime
        self._call(runtime.cudaFree(0))  # makes the context, or says why there can be none

    def _call(self, result: tuple) -> Any:
        error, *values = result
        if int(error):
            runtime = isinstance(error, self.api.cudaError_t)
            said = self.api.cudaGetErrorString(error)[1].decode() if runtime else error.name
            raise BackendError(
                f"CUDA: {said} (error {int(error)}); is the NVIDIA driver there? nvidia-smi tells"
            )
        return values[0] if values else None

    def stream(self) -> int:
        return int(self._call(self.api.cudaStreamCreate()))

    def allocate(self, size: int) -> int:
        return int(self._call(self.api.cudaMalloc(size)))

    def pinned(self, size: int) -> np.ndarray:
        address = int(self._call(self.api.cudaMallocHost(size)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        kind = self.api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self.api.cudaMemcpyAsync(pointer, host.ctypes.data, host.nbytes, kind, stream))

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        kind = self.api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self.api.cudaMemcpyAsync(host.ctypes.data, pointer, host.nbytes, kind, stream))

    def wait(self, stream: int) -> None:
        self._call(self.api.cudaStreamSynchronize(stream))

    def kernel(self, cubin: bytes, name: str) -> Any:
        from cuda.bindings import driver

        module = self._call(driver.cuModuleLoadData(cubin))
        return module, self._call(driver.cuModuleGetFunction(module, name.encode()))

    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        from cuda.bindings import driver

        kinds = {int: ctypes.c_void_p, np.int32: ctypes.c_int, np.float32: ctypes.c_float}
        values = tuple(a if isinstance(a, int) else a.item() for a in arguments)
        packed = (values, tuple(kinds[type(a)] for a in arguments))
        self._call(driver.cuLaunchKernel(kernel[1], *blocks, 1, *threads, 1, 0, stream, packed, 0))

    def record(self, work: Callable[[], None], stream: int) -> Any:
        mode = self.api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(self.api.cudaStreamBeginCapture(stream, mode))
        try:
            work()
        finally:
            graph = self._call(self.api.cudaStreamEndCapture(stream))
        return self._call(self.api.cudaGraphInstantiate(graph, 0))

    def replay(self, graph: Any, stream: int) -> None:
        self._call(self.api.cudaGraphLaunch(graph, stream))

    def event(self) -> Any:
        return self._call(self.api.cudaEventCreate())

    def mark(self, event: Any, stream: int) -> None:
        self._call(self.api.cudaEventRecord(event, stream))

    def elapsed_ms(self, start: Any, end: Any) -> float:
        return float(self._call(self.api.cudaEventElapsedTime(start, end)))


class PyCuda:
    """pycuda in the primary context (``pycuda.autoprimaryctx``)."""

    def __init__(self) -> None:
        import pycuda.autoprimaryctx
        import pycuda.driver as driver

        self.driver = driver
        self.context = pycuda.autoprimaryctx.context
        self.kept: list[Any] = []  # pycuda frees what nobody holds

    def stream(self) -> int:
        self.kept.append(self.driver.Stream())
        return self.kept[-1].handle

    def allocate(self, size: int) -> int:
        self.kept.append(self.driver.mem_alloc(size))
        return int(self.kept[-1])

    def pinned(self, size: int) -> np.ndarray:
        return self.driver.pagelocked_empty(size, np.uint8)

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        self.driver.memcpy_htod_async(pointer, host, self._stream(stream))

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        self.driver.memcpy_dtoh_async(host, pointer, self._stream(stream))

    def wait(self, stream: int) -> None:
        self._stream(stream).synchronize()

    def kernel(self, cubin: bytes, name: str) -> Any:
        self.kept.append(self.driver.module_from_buffer(cubin))
        return self.kept[-1].get_function(name)

    def launch(
        self, kernel: Any, blocks: tuple[int, int], threads: tuple[int, int], arguments: list, stream: int
    ) -> None:
        addresses = [np.uintp(a) if isinstance(a, int) else a for a in arguments]
        kernel(*addresses, grid=blocks, block=(*threads, 1), stream=self._stream(stream))

    def record(self, work: Callable[[], None], stream: int) -> Any:
        return None

    def replay(self, graph: Any, stream: int) -> None:
        raise BackendError("pycuda has no CUDA graphs")

    def event(self) -> Any:
        return self.driver.Event()

    def mark(self, event: Any, stream: int) -> None:
        event.record(self._stream(stream))

    def elapsed_ms(self, start: Any, end: Any) -> float:
        return float(start.time_till(end))

    def _stream(self, handle: int) -> Any:
        return next(s for s in self.kept if getattr(s, "handle", None) == handle)


def open_cuda() -> Cuda:
    """cuda-bindings, or pycuda where ``EVITSAM_CUDA=pycuda`` asks for it or it is what is installed.

    Raises:
        BackendError: neither is installed, or there is no GPU.
    """
    order = [PyCuda, CudaBindings] if os.environ.get("EVITSAM_CUDA") == "pycuda" else [CudaBindings, PyCuda]
    missing = []
    for kind in order:
        try:
            return kind()
        except ImportError as error:
            missing.append(str(error))
    raise BackendError(
        f"no CUDA bindings ({'; '.join(missing)}): pip install cuda-bindings (12.x on JetPack 6), or pycuda"
    )


@dataclass(eq=False)
class DeviceArray:
    """An array on the GPU; ``np.asarray`` copies it. Unheld, its memory goes back to the pool.

    ``needs``: what has to live as long, since the work that makes this array may not have been done yet.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype
    pool: Pool = field(repr=False)
    needs: Any = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Some of the first axis, in the same memory."""
        start, stop, _ = rows.indices(self.shape[0])
        stride = self.nbytes // self.shape[0]
        shape = (stop - start, *self.shape[1:])
        return DeviceArray(self.pointer + start * stride, shape, self.dtype, self.pool, needs=self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        host = np.empty(self.shape, self.dtype)
        self.pool.cuda.copy_out(host, self.pointer, self.pool.stream)
        self.pool.cuda.wait(self.pool.stream)
        return host if dtype is None else host.astype(dtype)


class Pool:
    """Device blocks by size, handed out and taken back: nothing is allocated once every size was seen.

    ``clock``: times what is queued on the stream, while somebody profiles.
    """

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.stream = cuda.stream()
        self.free: dict[int, list[int]] = {}
        self.clock: DeviceClock | None = None

    def timed(self, name: str) -> AbstractContextManager[None]:
        """A span of the device's clock, where there is one."""
        return nullcontext() if self.clock is None else self.clock.span(name)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        waiting = self.free.setdefault(size, [])
        pointer = waiting.pop() if waiting else self.cuda.allocate(size)
        made = DeviceArray(pointer, tuple(shape), np.dtype(dtype), self)
        weakref.finalize(made, waiting.append, pointer)
        return made
