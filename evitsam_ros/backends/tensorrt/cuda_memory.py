# SPDX-License-Identifier: Apache-2.0
"""Manage GPU memory: reused blocks and pinned buffers, freed when a runtime is closed."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base import BackendError
from .cuda_calls import Cuda, CudaBindings
from .pycuda_calls import PyCuda

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..device_clock import DeviceClock

#: Min bytes of a size class, as of CUDA's own allocations.
MIN_BLOCK = 512


def open_cuda() -> Cuda:
    """Open cuda-bindings, or pycuda if ``EVITSAM_CUDA=pycuda`` or if only pycuda is installed.

    Raises:
        BackendError: neither is installed, or there is no GPU.
    """
    order: list[type[PyCuda] | type[CudaBindings]] = (
        [PyCuda, CudaBindings] if os.environ.get("EVITSAM_CUDA") == "pycuda" else [CudaBindings, PyCuda]
    )
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
    """An array on the GPU; ``np.asarray`` copies it.

    Its memory returns to the pool after its last reference. ``needs`` is an object that has to live as long,
    since the work that makes this array may be pending.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype
    pool: Pool = field(repr=False)
    needs: Any = field(default=None, repr=False)

    @property
    def nbytes(self) -> int:
        """Return the size in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Return some rows of the first axis, in the same memory."""
        start, stop, _ = rows.indices(self.shape[0])
        stride = self.nbytes // self.shape[0]
        shape = (stop - start, *self.shape[1:])
        return DeviceArray(self.pointer + start * stride, shape, self.dtype, self.pool, needs=self)

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> np.ndarray:
        self.pool.check_open()
        host = np.empty(self.shape, self.dtype)
        self.pool.cuda.copy_out(host, self.pointer, self.pool.stream)
        self.pool.cuda.wait(self.pool.stream)
        return host if dtype is None else host.astype(dtype)


def block_size(size: int) -> int:
    """Return the size class of ``size`` bytes: up to 1/8 larger, eight classes between powers of two."""
    step = max(MIN_BLOCK, 1 << max(0, (size - 1).bit_length() - 4))
    return max(1, -(-size // step)) * step


class Pool:
    """Device blocks by size class, reused: no allocation happens once every size has occurred.

    Attributes:
        free: addresses of unused blocks, by size class in bytes.
        clock: times the work on the stream during a profile.
    """

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.stream = cuda.stream()
        self.free: dict[int, list[int]] = {}
        self.clock: DeviceClock | None = None
        self._pinned: dict[int, np.ndarray] = {}
        self._closed = False
        # Re-entrant: garbage collection in this thread may return a block while the lock is held.
        self._lock = threading.RLock()

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Open a span of the device's clock, if there is one."""
        return nullcontext() if self.clock is None else self.clock.span(name)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        """Return an array of undefined content.

        Raises:
            BackendError: the pool is closed, or the GPU's memory is full.
        """
        self.check_open()
        size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        pointer, taken = self._block(size)
        made = DeviceArray(pointer, tuple(shape), np.dtype(dtype), self)
        weakref.finalize(made, self._take_back, pointer, taken).atexit = False
        return made

    def _block(self, size: int) -> tuple[int, int]:
        """Return the smallest free block of ``size`` to less than twice that, else a new one."""
        with self._lock:
            fitting = [taken for taken, blocks in self.free.items() if blocks and size <= taken < 2 * size]
            taken = min(fitting, default=block_size(size))
            waiting = self.free.setdefault(taken, [])
            if waiting:
                return waiting.pop(), taken
        return self.cuda.allocate(taken), taken

    def _take_back(self, pointer: int, size: int) -> None:
        with self._lock:
            if not self._closed:
                self.free[size].append(pointer)
                return
        with suppress(Exception):  # a failed GPU; a finalizer has no caller to report to
            self.cuda.free(pointer)

    def pinned(self, size: int, instead_of: np.ndarray | None = None) -> np.ndarray:
        """Return a pinned buffer ``(>= size,)`` uint8.

        Args:
            size: in bytes.
            instead_of: a buffer to free, with finished copies.
        """
        self.check_open()
        if instead_of is not None and self._pinned.pop(instead_of.ctypes.data, None) is not None:
            self.cuda.free_pinned(instead_of)
        made = self.cuda.pinned(block_size(size))
        self._pinned[made.ctypes.data] = made
        return made

    def check_open(self) -> None:
        """Raise ``BackendError`` after :meth:`close`."""
        if self._closed:
            raise BackendError("the runtime of this GPU memory is closed; open the model again")

    def close(self) -> None:
        """Free all blocks and buffers; referenced blocks follow after their last reference.

        A failed GPU rejects these calls; its memory is freed when the process exits.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            blocks = [pointer for waiting in self.free.values() for pointer in waiting]
            self.free.clear()
        with suppress(Exception):
            self.cuda.wait(self.stream)
        if self.clock is not None:
            _attempt(self.clock.close)
        for pointer in blocks:
            _attempt(self.cuda.free, pointer)
        for buffer in self._pinned.values():
            _attempt(self.cuda.free_pinned, buffer)
        self._pinned.clear()
        _attempt(self.cuda.close_stream, self.stream)


def _attempt(release: Callable[..., None], *arguments: Any) -> None:
    """Release a resource, and ignore errors of a failed GPU."""
    with suppress(Exception):
        release(*arguments)
