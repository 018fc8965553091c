# SPDX-License-Identifier: Apache-2.0
"""Simulate a GPU and TensorRT with arrays, and record all calls."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from evitsam_ros.backends.tensorrt.cuda_memory import Pool
from evitsam_ros.backends.tensorrt.engine_network import EngineNetwork


@dataclass
class Memory:
    """A GPU of byte arrays, with a record of all calls.

    ``held``: the resources that were created and not freed, each once.
    """

    blocks: dict[int, np.ndarray] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    made: int = 0
    depth: int = 0

    @contextmanager
    def active(self):
        self.depth += 1
        yield
        self.depth -= 1

    def _make(self, kind: str) -> int:
        self.made += 1
        self.held.add(f"{kind} {self.made}")
        return self.made

    def stream(self) -> int:
        return self._make("stream")

    def close_stream(self, stream: int) -> None:
        self.held.remove(f"stream {stream}")

    def allocate(self, size: int) -> int:
        self.calls.append(f"allocate {size}")
        pointer = self._make("block")
        self.blocks[pointer] = np.zeros(size, np.uint8)
        return pointer

    def free(self, pointer: int) -> None:
        self.held.remove(f"block {pointer}")
        del self.blocks[pointer]

    def pinned(self, size: int) -> np.ndarray:
        self.calls.append(f"pinned {size}")
        made = np.zeros(size, np.uint8)
        self.held.add(f"pinned {made.ctypes.data}")
        return made

    def free_pinned(self, host: np.ndarray) -> None:
        self.held.remove(f"pinned {host.ctypes.data}")

    def event(self) -> str:
        return f"event {self._make('event')}"

    def drop_event(self, event: str) -> None:
        self.held.remove(event)

    def mark(self, event: str, stream: int) -> None:
        assert event in self.held

    def copy_in(self, pointer: int, host: np.ndarray, stream: int) -> None:
        self.calls.append(f"in {host.nbytes}")
        self.blocks[pointer][: host.nbytes] = host.reshape(-1).view(np.uint8)

    def copy_out(self, host: np.ndarray, pointer: int, stream: int) -> None:
        self.calls.append(f"out {host.nbytes}")
        host.reshape(-1).view(np.uint8)[:] = self.blocks[pointer][: host.nbytes]

    def wait(self, stream: int) -> None:
        self.calls.append("wait")

    def kernel(self, cubin: bytes, name: str) -> str:
        self.held.add(name)
        return name

    def unload(self, kernel: str) -> None:
        self.held.remove(kernel)

    def launch(self, kernel, blocks, threads, arguments, stream: int) -> None:
        self.calls.append(f"launch {kernel} {blocks} {threads}")

    def record(self, work, stream: int):
        self.calls.append("record")
        return f"graph {self._make('graph')}", work

    def replay(self, graph, stream: int) -> None:
        self.calls.append("replay")
        graph[1]()

    def drop_graph(self, graph) -> None:
        self.held.remove(graph[0])


class Engine:
    """An engine that doubles its first input.

    ``profiles`` are (min, max) of a dynamic first axis, with (min, max) of the second if that is dynamic
    too; or none.
    """

    def __init__(self, memory: Memory, inputs: list[str], output: str, profiles=(), refuses=False) -> None:
        self.memory, self.names, self.profiles, self.refuses = memory, [*inputs, output], profiles, refuses
        self.num_io_tensors, self.num_optimization_profiles = len(self.names), max(1, len(profiles))
        self.set_profiles: list[int] = []

    def get_tensor_name(self, index):
        return self.names[index]

    def get_tensor_mode(self, name):
        return "out" if name == self.names[-1] else "in"

    def get_tensor_dtype(self, name):
        return np.float32

    def get_tensor_shape(self, name):
        return (-1, -1) if self.profiles else (2, 4)

    def get_tensor_profile_shape(self, name, profile):
        least, most, *tokens = self.profiles[profile]
        few, many = tokens or (4, 4)
        return (least, few), (least, few), (most, many)

    def create_execution_context(self):
        return Context(self)


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.shapes, self.pointers = engine, {}, {}

    def set_input_shape(self, name, shape):
        self.shapes[name] = tuple(shape)

    def set_tensor_address(self, name, pointer):
        self.pointers[name] = pointer

    def get_tensor_shape(self, name):
        return self.shapes[self.engine.names[0]]

    def set_optimization_profile_async(self, profile, stream):
        self.engine.set_profiles.append(profile)

    def execute_async_v3(self, stream):
        assert self.engine.memory.depth, "TensorRT's own calls need the GPU to be current"
        first, last = self.engine.names[0], self.engine.names[-1]
        blocks, size = self.engine.memory.blocks, int(np.prod(self.shapes[first])) * 4
        values = blocks[self.pointers[first]][:size].view(np.float32)
        blocks[self.pointers[last]][:size] = (values * 2).view(np.uint8)
        return not self.engine.refuses


def fake_tensorrt(engine: Engine | None) -> SimpleNamespace:
    runtime = SimpleNamespace(deserialize_cuda_engine=lambda content: engine)
    module = SimpleNamespace(
        Runtime=lambda logger: runtime,
        Logger=type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None}),
        TensorIOMode=SimpleNamespace(INPUT="in"),
        nptype=np.dtype,
    )
    return SimpleNamespace(module=module, kind="tensorrt", name="tensorrt 10.3.0", version="10.3.0")


def network(memory: Memory, inputs, output, **options) -> tuple[EngineNetwork, Engine]:
    engine = Engine(memory, inputs, output, **options)
    return EngineNetwork(fake_tensorrt(engine), b"plan", "some.engine", Pool(memory)), engine
