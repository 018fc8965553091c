# SPDX-License-Identifier: Apache-2.0
"""Backends whose speed and masks are known: ONNX Runtime with a clock and an error of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the bundle is made by torch")

from bench.known_bundle import write_known_bundle
from evitsam_ros.autotune.budget import Budget
from evitsam_ros.autotune.measurement import Measurement
from evitsam_ros.backends import BACKENDS, FunctionNetwork
from evitsam_ros.backends.onnxruntime_backend import OnnxRuntimeBackend
from evitsam_ros.bundle import DENSE_NETWORK, open_bundle

#: Seconds of loading a network on the clock of :class:`Machine`.
LOAD_S = 0.1


class Machine:
    """A machine with made-up backends and a clock that goes on only when they work.

    Attributes:
        now: seconds.
        seconds: of a run, by (backend, network) or backend.
        shift: what is added to logits, by backend: masks shrink.
        change: what is made of the output of a dense network, by backend.
        noise: makes a factor of every run.
    """

    def __init__(self) -> None:
        self.now = 0.5
        self.seconds: dict[tuple[str, str] | str, float] = {}
        self.shift: dict[str, float] = {}
        self.change: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        self.noise: Callable[[], float] = lambda: 1.0
        self.loads: list[tuple[str, str]] = []

    def backend(self, backend_name: str, variant: str = "", kept: str = "fp32") -> type[OnnxRuntimeBackend]:
        """Make a backend; it is not registered."""
        machine = self

        class Made(OnnxRuntimeBackend):
            name = title = backend_name
            auto_rank = None if variant else len(BACKENDS)
            variant_of = variant
            precision = kept

            def load(self, bundle, network, threads):
                machine.loads.append((network, backend_name))
                machine.now += LOAD_S
                loaded = super().load(bundle, network, threads)

                def run(inputs):
                    seconds = machine.seconds.get((backend_name, network), machine.seconds[backend_name])
                    machine.now += seconds * machine.noise()
                    outputs = loaded(inputs)
                    if network == "decoder":
                        outputs[0] = outputs[0] - np.float32(machine.shift.get(backend_name, 0.0))
                    if network == DENSE_NETWORK and backend_name in machine.change:
                        outputs[0] = machine.change[backend_name](outputs[0])
                    return outputs

                return FunctionNetwork(run)

        return Made


@pytest.fixture(scope="session")
def known(tmp_path_factory):
    """Return an opened bundle that answers a box with the box."""
    return open_bundle(write_known_bundle(tmp_path_factory.mktemp("engines") / "known"))


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Machine:
    """Return a machine with a float32 runtime, its bfloat16 and int8, and another float32 runtime."""
    made = Machine()
    for name in list(BACKENDS):
        monkeypatch.delitem(BACKENDS, name)
    for arguments in (("own",), ("own_bf16", "own", "bf16"), ("own_int8", "own", "int8"), ("other",)):
        monkeypatch.setitem(BACKENDS, arguments[0], made.backend(*arguments))
    made.seconds = {"own": 0.02, "own_bf16": 0.01, "own_int8": 0.03, "other": 0.02}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def measured(machine, known, photograph) -> Callable[..., Measurement]:
    """Return a function that measures the known bundle on the machine, and returns the measurement."""

    def run(seconds: float = 60.0, bundle=known, before=None) -> Measurement:
        measurement = Measurement(bundle, [photograph], Budget(seconds, lambda: machine.now), before)
        for _ in measurement.steps():
            pass
        return measurement

    return run


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    """Return an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"
