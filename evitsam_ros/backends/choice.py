# SPDX-License-Identifier: Apache-2.0
"""Which runtime runs which network, and in one sentence why: nobody shall run on the CPU unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from ..bundle import Bundle
from ..tensorrt.api import find_gpu, gpu_index
from .base import Backend, BackendError, Network, Runtime
from .onnxruntime_backend import OnnxRuntimeBackend
from .openvino_backend import OpenVinoBackend, OpenVinoBf16Backend
from .tensorrt_backend import PRECISIONS, TensorRtBackend, of_precision
from .torch_backend import TorchBackend

BACKENDS: dict[str, type[Backend]] = {
    backend.name: backend
    for backend in (
        TensorRtBackend,
        *(of_precision(precision) for precision in PRECISIONS),
        OnnxRuntimeBackend,
        OpenVinoBackend,
        OpenVinoBf16Backend,
        TorchBackend,
    )
}
#: CPU runtimes, fastest first, as `make bench` measured (README, "Numbers"). One for all networks: the
#: threads of two get in each other's way.
PREFERENCE = ("openvino", "onnxruntime")
#: Networks of everything mode alone, which CPU runtimes load when they are first asked: prompts start sooner.
LATER = ("proposals", "foveal_decoder")


def open_runtime(
    bundle: Bundle, backend: str = "auto", threads: int = 0, avoid: frozenset[str] = frozenset()
) -> Runtime:
    """Load every network of a bundle on the runtime asked for, or on the best that is there.

    Left to choose, it takes TensorRT where this machine has a GPU and the cache an engine of every network,
    torch where that sees the GPU, and CPU runtimes elsewhere; the description says why.

    Args:
        avoid: runtimes not to be chosen, as they failed; one that is asked for by name is taken nevertheless.

    Raises:
        BackendError: the runtime is unknown or not installed, or none is left.
    """
    if backend != "auto":
        if backend not in BACKENDS:
            raise BackendError(f"backend {backend!r} is unknown; expected auto, {', '.join(BACKENDS)}")
        return _load(bundle, dict.fromkeys(bundle.networks, (backend, "as asked")), threads)
    without_engines = ""
    if "tensorrt" not in avoid and TensorRtBackend().version() is not None:
        why = "engine in the cache"
        try:
            return _load(bundle, dict.fromkeys(bundle.networks, ("tensorrt", why)), threads)
        except BackendError as error:
            without_engines = f" TensorRT is not used: {error}."
    if "torch" not in avoid and _torch_has_gpu() and bundle.checkpoint is not None:
        chosen = _load(bundle, dict.fromkeys(bundle.networks, ("torch", "on the GPU, fp16")), threads)
        return replace(chosen, description=chosen.description + without_engines)
    chosen = _load(bundle, dict.fromkeys(bundle.networks, _best(avoid)), threads)
    return replace(chosen, description=chosen.description + without_engines)


def _load(bundle: Bundle, choice: dict[str, tuple[str, str]], threads: int) -> Runtime:
    """Load the networks, each on the runtime that ``choice`` names, with the reason for it."""
    loaded: dict[str, Backend] = {}
    try:
        return _load_each(bundle, choice, threads, loaded)
    except BaseException:
        _close(loaded)
        raise


def _close(loaded: dict[str, Backend]) -> None:
    """Free what the backends hold of a device; the CPU's go with their networks."""
    for backend in loaded.values():
        if hasattr(backend, "close"):
            backend.close()


def _load_each(
    bundle: Bundle, choice: dict[str, tuple[str, str]], threads: int, loaded: dict[str, Backend]
) -> Runtime:
    """The runtime of :func:`_load`; the backends go into ``loaded`` as they are opened."""
    networks, parts = {}, []
    for network, (name, why) in choice.items():
        runtime = loaded.setdefault(name, BACKENDS[name]())
        if runtime.version() is None:
            raise BackendError(f"{name} is not installed; {runtime.remedy}")
        load = partial(_load_checked, runtime, bundle, network, threads)
        on_cpu = isinstance(runtime, (OnnxRuntimeBackend, OpenVinoBackend))
        later = on_cpu and network in LATER
        networks[network] = LoadedLater(load) if later else runtime.load(bundle, network, threads)
        parts.append(f"{network}: {name} {runtime.version()} ({why})")

    def facts() -> dict[str, dict[str, str]]:
        return {
            network: {"runtime": f"{name} {loaded[name].version()}"}
            | loaded[name].facts(bundle, network, threads)
            for network, (name, _) in choice.items()
        }

    # The other kinds of bundles have one network, which reads the image as an encoder does.
    first = "encoder" if "encoder" in choice else next(iter(choice))
    encoder = loaded[choice[first][0]]
    makes_input = first == "encoder" and hasattr(encoder, "preprocess")
    return Runtime(
        networks,
        f"{'; '.join(parts)}. {_device(loaded)}",
        backends=frozenset(loaded),
        preprocess=encoder.preprocess(bundle) if makes_input else None,
        batch=getattr(networks[first], "batch", 1),
        facts=facts,
        wait=getattr(encoder, "wait", None),
        device_clock=getattr(encoder, "device_clock", None),
        release=partial(_close, loaded),
    )


def _load_checked(runtime: Backend, bundle: Bundle, network: str, threads: int) -> Network:
    """Load a network whose files may have been exchanged since the bundle was opened.

    Raises:
        BundleError: they have been.
    """
    bundle.check(network)
    return runtime.load(bundle, network, threads)


def in_precision(backend: str, precision: str) -> str:
    """The name of the backend that keeps to ``precision`` (as ``openvino_bf16``), where there is one.

    Elsewhere ``backend`` itself: whether that computes in ``precision`` is told by its facts.
    """
    for name in (f"tensorrt_{precision}", f"openvino_{precision}"):
        if name in BACKENDS and backend in ("auto", name.split("_")[0]) and BACKENDS[name]().version():
            return name
    return backend


class LoadedLater:
    """A network that is loaded at its first call."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load, self._network = load, None

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        if self._network is None:
            self._network = self._load()
        return self._network(inputs)


def engines_missing(runtime: Runtime) -> bool:
    """Whether this machine could run TensorRT engines, and ``runtime`` does not."""
    return (
        not any(name.startswith("tensorrt") for name in runtime.backends)
        and TensorRtBackend().version() is not None
    )


def _torch_has_gpu() -> bool:
    """Whether torch can use a GPU; torch is not imported on machines without one."""
    if find_gpu() is None or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _best(avoid: frozenset[str]) -> tuple[str, str]:
    passed = []
    for name in PREFERENCE:
        if name in avoid:
            passed.append(f"{name} failed")
        elif BACKENDS[name]().version() is None:
            passed.append(f"{name} not installed")
        else:
            return name, ", ".join(passed) or "fastest here on a CPU"
    raise BackendError(f"no inference runtime is installed: {OnnxRuntimeBackend.remedy}")


def _device(loaded: dict[str, Backend]) -> str:
    if any(isinstance(backend, TensorRtBackend) for backend in loaded.values()):
        return f"Runs on the GPU, {find_gpu().name}."
    if "torch" in loaded:
        import torch

        if torch.cuda.is_available():
            return f"Runs on the GPU, {torch.cuda.get_device_name(gpu_index())}."
    if shutil.which("nvidia-smi") or find_spec("tensorrt"):
        return "Runs on the CPU, although this machine seems to have an NVIDIA GPU."
    return "Runs on the CPU: no NVIDIA GPU found."
