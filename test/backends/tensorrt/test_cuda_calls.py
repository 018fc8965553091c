# SPDX-License-Identifier: Apache-2.0
"""Test the GPU and the context of each call, against stand-ins that keep both by thread, as CUDA does."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from evitsam_ros.backends import BackendError, gpu
from evitsam_ros.backends.gpu import Gpu, GpuError, find_gpu, gpu_index
from evitsam_ros.backends.tensorrt.cuda_calls import CudaBindings
from evitsam_ros.backends.tensorrt.cuda_memory import Pool
from evitsam_ros.backends.tensorrt.pycuda_calls import PyCuda


def in_a_thread(work):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class Contexts(threading.local):
    """The stack of contexts of a thread, which starts empty."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.freed: list[int] = []


@pytest.fixture
def pycuda(monkeypatch):
    """pycuda.driver, whose calls fail in a thread without a current context; and the threads' stacks."""
    contexts = Contexts()

    def current() -> int:
        if not contexts.stack:
            raise RuntimeError("invalid device context: no currently active context")
        return contexts.stack[-1]

    class Stream:
        def __init__(self) -> None:
            current()
            self.handle = id(self)

        def synchronize(self) -> None:
            current()

    class Block:
        def __init__(self, size: int) -> None:
            current()
            self.content = np.zeros(size, np.uint8)

        def __int__(self) -> int:
            return self.content.ctypes.data

        def free(self) -> None:
            contexts.freed.append(current())

    class Allocation:
        def __init__(self, size: int) -> None:
            self.content = np.full(size, current() * 0, np.uint8)
            self.__array_interface__ = self.content.__array_interface__

        def free(self) -> None:
            contexts.freed.append(current())

    def copy(target, source, stream) -> None:
        current()

    def device(index: int) -> SimpleNamespace:
        context = SimpleNamespace(push=lambda: contexts.stack.append(index), pop=lambda: contexts.stack.pop())
        return SimpleNamespace(retain_primary_context=lambda: context)

    driver = ModuleType("pycuda.driver")
    driver.init = lambda: None
    driver.Device, driver.Stream, driver.mem_alloc = device, Stream, Block
    driver.memcpy_htod_async = driver.memcpy_dtoh_async = copy
    driver.pagelocked_empty = lambda size, dtype: np.asarray(Allocation(size))
    driver.Event = lambda: SimpleNamespace(record=lambda stream: current(), time_till=lambda end: current())
    package = ModuleType("pycuda")
    package.driver = driver
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    return contexts


def test_pycuda_works_in_every_thread_and_leaves_its_stack_as_it_was(pycuda, monkeypatch):
    monkeypatch.setenv("EVITSAM_GPU", "3")
    cuda = PyCuda()
    assert pycuda.stack == [], "nothing stays current where it was opened"

    def infer() -> list[int]:
        pool = Pool(cuda)
        array = pool.array((4,), np.float32)
        cuda.copy_in(array.pointer, np.zeros(4, np.float32), pool.stream)
        np.asarray(array)
        pool.pinned(100)
        cuda.mark(cuda.event(), pool.stream)
        with cuda.active():
            assert pycuda.stack == [3]
            cuda.wait(pool.stream)
            with cuda.active():
                assert pycuda.stack == [3], "pushed once"
        del array
        pool.close()
        assert pycuda.freed == [3, 3], "the block and the buffer"
        return pycuda.stack

    assert in_a_thread(infer) == [] and pycuda.stack == []
    with pytest.raises(RuntimeError, match="no currently active"), cuda.active():
        in_a_thread(lambda: cuda.driver.mem_alloc(4))
    assert pycuda.stack == [], "an error pops it too"


class Device(threading.local):
    """CUDA's current device, a thread's own; 0 at first."""

    current = 0


@pytest.fixture
def bindings(monkeypatch):
    """The calls of cuda.bindings.runtime that allocate, with a record of the device they were made on."""
    device, made = Device(), []

    def set_device(index: int) -> tuple[int]:
        device.current = index
        return (0,)

    def allocate(size: int) -> tuple[int, int]:
        made.append(device.current)
        return 0, 4096

    runtime = ModuleType("cuda.bindings.runtime")
    runtime.cudaGetDevice = lambda: (0, device.current)
    runtime.cudaSetDevice = set_device
    runtime.cudaFree = lambda pointer: (0,)
    runtime.cudaMalloc = allocate
    runtime.cudaStreamCreate = lambda: allocate(0)
    runtime.cudaGetDeviceCount = lambda: (0, 2)
    properties = [SimpleNamespace(name=n, major=8, minor=m) for n, m in ((b"Small", 6), (b"Large", 9))]
    runtime.cudaGetDeviceProperties = lambda index: (0, properties[index])
    package, parent = ModuleType("cuda.bindings"), ModuleType("cuda")
    package.runtime, parent.bindings = runtime, package
    for name, module in (("cuda", parent), ("cuda.bindings", package), ("cuda.bindings.runtime", runtime)):
        monkeypatch.setitem(sys.modules, name, module)
    return device, made


def test_the_chosen_gpu_is_set_in_every_thread_and_the_callers_one_put_back(bindings, monkeypatch):
    device, made = bindings
    monkeypatch.setenv("EVITSAM_GPU", "1")
    cuda = CudaBindings()
    assert device.current == 0
    cuda.allocate(16)
    in_a_thread(lambda: cuda.allocate(16))
    in_a_thread(lambda: Pool(cuda))
    assert made == [1, 1, 1] and device.current == 0
    with cuda.active():
        assert device.current == 1, "for TensorRT's own calls"
    assert device.current == 0
    assert find_gpu() == Gpu("Large", "sm89")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2", "EVITSAM_GPU is 2, but there are 2 GPUs; expected 0 to 1"),
        ("first", "EVITSAM_GPU is 'first'; expected the number of a GPU"),
        ("-1", "EVITSAM_GPU is '-1'; expected the number of a GPU"),
    ],
)
def test_a_missing_gpu_is_named(bindings, monkeypatch, value, message):
    monkeypatch.setenv("EVITSAM_GPU", value)
    with pytest.raises(GpuError, match=message):
        find_gpu()


def test_the_first_gpu_is_used_unless_another_is_chosen(bindings, monkeypatch):
    for value in (None, "", " 0 "):
        monkeypatch.delenv("EVITSAM_GPU", raising=False)
        if value is not None:
            monkeypatch.setenv("EVITSAM_GPU", value)
        assert gpu_index() == 0 and find_gpu() == Gpu("Small", "sm86")


def test_the_tool_names_the_chosen_gpu_too(monkeypatch):
    output = "Small, 8.6\nLarge, 8.9\n"
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setattr(gpu.shutil, "which", lambda name: name)
    monkeypatch.setattr(
        gpu.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=output, stderr="")
    )
    monkeypatch.setenv("EVITSAM_GPU", "1")
    assert find_gpu() == Gpu("Large", "sm89")
    monkeypatch.setenv("EVITSAM_GPU", "5")
    with pytest.raises(GpuError, match="there are 2 GPUs"):
        find_gpu()


def test_an_error_of_cuda_has_the_remedy(bindings, monkeypatch):
    cuda = CudaBindings()
    error = type("cudaError_t", (int,), {})(2)
    monkeypatch.setattr(cuda.api, "cudaError_t", type(error), raising=False)
    monkeypatch.setattr(cuda.api, "cudaGetErrorString", lambda e: (0, b"out of memory"), raising=False)
    monkeypatch.setattr(cuda.api, "cudaMalloc", lambda size: (error, 0))
    with pytest.raises(BackendError, match=r"CUDA: out of memory \(error 2\).*nvidia-smi"):
        cuda.allocate(16)
