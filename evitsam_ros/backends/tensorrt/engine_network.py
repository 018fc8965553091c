# SPDX-License-Identifier: Apache-2.0
"""Run one TensorRT engine: profiles, copies, CUDA graphs.

It uses only the interface by tensor names, which TensorRT 10.3 to 11 and TensorRT-RTX share.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bundle import HIGH_RES
from ..base import BackendError, Network
from .cuda_memory import DeviceArray, Pool
from .engine_cache import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from .api import TensorRt

#: Outputs that stay on the device, because another network reads them.
DEVICE_OUTPUTS = ("image_embeddings", *HIGH_RES)
#: Max number of CUDA graphs of a network.
MAX_GRAPHS = 16


#: File name suffix of a runtime cache beside its engine.
RUNTIME_CACHE_SUFFIX = ".rtxcache"


class RuntimeCache:
    """The kernels that TensorRT-RTX compiles when an engine first runs, stored for the next start.

    TensorRT-RTX rejects a cache of another GPU, driver or version.
    """

    def __init__(self, engine: Any, path: Path) -> None:
        self.path = path
        self.config = engine.create_runtime_config()
        self.cache = self.config.create_runtime_cache()
        if path.is_file():
            self.cache.deserialize(path.read_bytes())
        self.config.set_runtime_cache(self.cache)
        self.saved: set[int] = set()

    def ran(self, profile: int) -> None:
        """Save the kernels that the first execution of a profile compiled; call it after an execution."""
        if profile in self.saved:
            return
        self.saved.add(profile)
        # With a read-only or full disk the next start is slower.
        with contextlib.suppress(OSError):
            write_whole(self.path, bytes(self.cache.serialize()))


class EngineNetwork(Network):
    """One engine with its context. Inputs and outputs are NumPy arrays or :class:`DeviceArray`.

    ``kernels``: file for the kernels that TensorRT-RTX compiles at the first run.
    """

    def __init__(
        self,
        tensorrt: TensorRt,
        content: bytes | memoryview,
        name: str,
        pool: Pool,
        kernels: Path | None = None,
    ) -> None:
        self.name, self.pool = name, pool
        with pool.cuda.active():
            self._open(tensorrt, content, kernels)

    def _open(self, tensorrt: TensorRt, content: bytes | memoryview, kernels: Path | None) -> None:
        trt, name = tensorrt.module, self.name
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self.engine = runtime.deserialize_cuda_engine(content)
        if self.engine is None:
            raise BackendError(
                f"{name} cannot be loaded by {tensorrt.name}: it is damaged, or of another GPU or "
                "version; evitsam engines --prune, then evitsam build"
            )
        self.kernels = RuntimeCache(self.engine, kernels) if kernels else None
        configured = (self.kernels.config,) if self.kernels else ()
        self.context = self.engine.create_execution_context(*configured)
        if self.context is None:
            raise BackendError(
                f"{name}: no execution context; the GPU's memory may be full (check with nvidia-smi)"
            )
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        is_input = {n: self.engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT for n in names}
        self.inputs = [n for n in names if is_input[n]]
        self.outputs = [n for n in names if not is_input[n]]
        self.dtypes = {n: np.dtype(trt.nptype(self.engine.get_tensor_dtype(n))) for n in names}
        self.staging: dict[str, np.ndarray] = {}
        self.profile = 0
        self.fixed = all(self._is_fixed(name) for name in self.inputs)
        self.batch = self._max_images()
        #: CUDA graphs by the addresses of inputs and outputs; None: ran once, recorded at the next run.
        self.graphs: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Run on named inputs; return the outputs in the order of the ONNX file."""
        self.pool.check_open()
        with self.pool.cuda.active():
            return self._run(inputs)

    def close(self) -> None:
        """Free graphs, context and engine; close the pool only after that."""
        for graph in self.graphs.values():
            self._drop(graph)
        self.graphs.clear()
        self.staging.clear()
        with self.pool.cuda.active():
            self.kernels = self.context = self.engine = None

    def _drop(self, graph: Any) -> None:
        if graph is not None:
            self.pool.cuda.drop_graph(graph)

    def _run(self, inputs: dict[str, Any]) -> list[Any]:
        held = []
        self._choose_profile({name: tuple(inputs[name].shape) for name in self.inputs})
        with self.pool.timed("copy in"):
            for name in self.inputs:
                array = self._on_device(name, inputs[name])
                held.append(array)  # keep the memory until the work is done
                self.context.set_input_shape(name, array.shape)
                self.context.set_tensor_address(name, array.pointer)
        found = [
            self.pool.array(tuple(self.context.get_tensor_shape(name)), self.dtypes[name])
            for name in self.outputs
        ]
        for name, array in zip(self.outputs, found, strict=True):
            self.context.set_tensor_address(name, array.pointer)
        with self.pool.timed("run"):
            self._enqueue(tuple(array.pointer for array in (*held, *found)))
        with self.pool.timed("copy out"):
            results = [self._result(name, array) for name, array in zip(self.outputs, found, strict=True)]
        self.pool.cuda.wait(self.pool.stream)
        if self.kernels:
            self.kernels.ran(self.profile)
        return [r if isinstance(r, DeviceArray) else r.copy() for r in results]

    def _enqueue(self, addresses: tuple[int, ...]) -> None:
        """Queue the engine; for fixed shapes and known addresses by its CUDA graph, a single launch.

        The pool reuses the same few blocks, so the graphs are few.
        """
        if not self.fixed or addresses not in self.graphs:
            self._execute()
            if self.fixed:
                self.graphs[addresses] = None
                while len(self.graphs) > MAX_GRAPHS:
                    self._drop(self.graphs.popitem(last=False)[1])
            return
        cuda, stream = self.pool.cuda, self.pool.stream
        if self.graphs[addresses] is None:
            # The first run has done the allocations, which are forbidden while recording.
            self.graphs[addresses] = cuda.record(self._execute, stream)
        self.graphs.move_to_end(addresses)
        if self.graphs[addresses] is None:  # these bindings have no graphs
            self._execute()
        else:
            cuda.replay(self.graphs[addresses], stream)

    def _execute(self) -> None:
        if not self.context.execute_async_v3(self.pool.stream):
            raise BackendError(f"{self.name}: the engine did not run; check nvidia-smi and the kernel log")

    def _choose_profile(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Choose the first profile that all shapes fit in, the one in use if it does."""
        count = self.engine.num_optimization_profiles
        for profile in (self.profile, *(p for p in range(count) if p != self.profile)):
            if all(self._fits(name, profile, shape) for name, shape in shapes.items()):
                break
        else:
            raise BackendError(f"{self.name} was not built for the shapes {shapes}")
        if profile != self.profile:
            self.context.set_optimization_profile_async(profile, self.pool.stream)
            self.profile = profile

    def max_prompts_per_call(self, count: int, usual: int, tokens: int | None = None) -> int:
        """Return the max number of prompts, out of ``count``, that a profile accepts for ``tokens``."""
        fitting = [
            min(high[0], count)
            for low, high in self._prompt_shapes()
            if low[0] <= count and (tokens is None or low[1] <= tokens <= high[1])
        ]
        return max(fitting, default=count)

    def token_limits(self) -> tuple[int, int] | None:
        """Return the min and max tokens of a prompt; None if this is no decoder."""
        if "point_coords" not in self.inputs:
            return None
        shapes = self._prompt_shapes()
        return min(low[1] for low, _ in shapes), max(high[1] for _, high in shapes)

    def _prompt_shapes(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return min and max ``(prompts, tokens, 2)`` of every profile."""
        fixed = tuple(self.engine.get_tensor_shape("point_coords"))
        if -1 not in fixed:
            return [(fixed, fixed)]
        profiles = range(self.engine.num_optimization_profiles)
        shapes = [self.engine.get_tensor_profile_shape("point_coords", p) for p in profiles]
        return [(tuple(low), tuple(high)) for low, _, high in shapes]

    def _max_images(self) -> int:
        """Return the max images of an encoder that was built with ``--batch``; 1 for other networks."""
        if self.inputs != ["image"] or -1 not in tuple(self.engine.get_tensor_shape("image")):
            return 1
        profiles = range(self.engine.num_optimization_profiles)
        high = [tuple(self.engine.get_tensor_profile_shape("image", p)[2]) for p in profiles]
        return max(shape[0] for shape in high)

    def _is_fixed(self, name: str) -> bool:
        """Return whether an input has one shape only."""
        if -1 not in tuple(self.engine.get_tensor_shape(name)):
            return True
        low, _, high = (tuple(s) for s in self.engine.get_tensor_profile_shape(name, 0))
        return low == high and self.engine.num_optimization_profiles == 1

    def _fits(self, name: str, profile: int, shape: tuple[int, ...]) -> bool:
        if -1 not in tuple(self.engine.get_tensor_shape(name)):
            return tuple(self.engine.get_tensor_shape(name)) == shape
        low, _, high = (tuple(s) for s in self.engine.get_tensor_profile_shape(name, profile))
        return all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))

    def _on_device(self, name: str, value: Any) -> DeviceArray:
        if isinstance(value, DeviceArray):
            return value
        host = self._staged(f"in {name}", value.shape, self.dtypes[name])
        np.copyto(host, value, casting="same_kind")
        array = self.pool.array(value.shape, self.dtypes[name])
        self.pool.cuda.copy_in(array.pointer, host, self.pool.stream)
        return array

    def _result(self, name: str, array: DeviceArray) -> DeviceArray | np.ndarray:
        if name in DEVICE_OUTPUTS:
            return array
        host = self._staged(f"out {name}", array.shape, array.dtype)
        self.pool.cuda.copy_out(host, array.pointer, self.pool.stream)
        return host

    def _staged(self, key: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return a view of a pinned buffer, which grows to the largest shape that was seen."""
        size = int(np.prod(shape)) * dtype.itemsize
        if key not in self.staging or self.staging[key].size < size:
            self.staging[key] = self.pool.pinned(size, instead_of=self.staging.get(key))
        return self.staging[key][:size].view(dtype).reshape(shape)
