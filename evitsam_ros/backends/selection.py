# SPDX-License-Identifier: Apache-2.0
"""Choose the backend of a bundle, and describe why: a node must not run on the CPU unnoticed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

from ..bundle import Bundle, BundleFiles
from .base import Backend, BackendError, Network
from .registry import auto_backends, find_backend
from .runtime import Runtime

#: Networks of everything mode alone, which CPU backends load when they are first called: prompt mode starts
#: sooner and takes less memory.
LAZY_NETWORKS = ("proposals", "foveal_decoder")


def open_runtime(
    bundle: BundleFiles, backend: str = "auto", threads: int = 0, exclude: frozenset[str] = frozenset()
) -> Runtime:
    """Load every network of a bundle on a backend.

    ``auto`` takes the first by rank that works: TensorRT where this machine has a GPU and the cache an engine
    of every network, torch where that sees the GPU, and CPU runtimes elsewhere. The description says why.
    One backend runs all networks: the threads of two get in each other's way.

    Args:
        bundle: an opened bundle.
        backend: a backend's name, or ``auto``.
        threads: CPU threads for a network; 0: as many as there are cores.
        exclude: backends that ``auto`` passes over because they failed.

    Raises:
        BackendError: the backend is unknown or not installed, or none is left.
    """
    if backend != "auto":
        return _load(bundle, find_backend(backend)(), "as asked", threads)
    problems, passed, hint = "", [], ""
    for kind in auto_backends():
        hint = kind.install_hint
        if kind.name in exclude:
            passed += [f"{kind.name} failed"] if kind.cpu_only else []
            continue
        candidate = kind()
        reason = candidate.auto_reason(bundle)
        if not reason:
            passed += [f"{kind.name} not installed"] if kind.cpu_only else []
            continue
        try:
            runtime = _load(bundle, candidate, ", ".join(passed) or reason, threads)
        except BackendError as error:
            if kind.cpu_only:
                raise
            problems += f" {kind.title} is not used: {error}."
            continue
        return replace(runtime, description=runtime.description + problems)
    raise BackendError(f"no inference runtime is installed: {hint}")


def _load(bundle: BundleFiles, backend: Backend, why: str, threads: int) -> Runtime:
    """Load all networks; free what was loaded where one cannot be."""
    version = backend.version()
    if version is None:
        raise BackendError(f"{backend.name} is not installed; {backend.install_hint}")
    try:
        networks = {name: _load_network(backend, bundle, name, threads) for name in bundle.networks}
        # The other kinds of bundles have one network, which makes its input itself.
        preprocess = backend.preprocess(cast("Bundle", bundle)) if "encoder" in networks else None
    except BaseException:
        backend.close()
        raise

    def info() -> dict[str, dict[str, str]]:
        own = {"runtime": f"{backend.name} {version}"}
        return {name: own | backend.info(bundle, name, threads) for name in bundle.networks}

    parts = "; ".join(f"{name}: {backend.name} {version} ({why})" for name in bundle.networks)
    return Runtime(
        networks,
        f"{parts}. {_device(backend)}",
        backends=frozenset({backend.name}),
        preprocess=preprocess,
        batch=networks.get("encoder", next(iter(networks.values()))).batch,
        info=info,
        synchronize=backend.synchronize,
        device_clock=backend.device_clock,
        release=backend.close,
    )


def _load_network(backend: Backend, bundle: BundleFiles, name: str, threads: int) -> Network:
    if backend.cpu_only and name in LAZY_NETWORKS:
        return LazyNetwork(partial(_load_checked, backend, bundle, name, threads))
    return backend.load(bundle, name, threads)


def _load_checked(backend: Backend, bundle: BundleFiles, name: str, threads: int) -> Network:
    """Load a network whose files may have been exchanged since the bundle was opened.

    Raises:
        BundleError: they have been.
    """
    bundle.check(name)
    return backend.load(bundle, name, threads)


class LazyNetwork(Network):
    """A network that is loaded at its first call. It has no limits of its own, as on every CPU backend."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load = load
        self._network: Network | None = None

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        if self._network is None:
            self._network = self._load()
        return self._network(inputs)


def _device(backend: Backend) -> str:
    """Describe the device that a loaded backend runs on."""
    if gpu := backend.gpu_name():
        return f"Runs on the GPU, {gpu}."
    if shutil.which("nvidia-smi") or find_spec("tensorrt"):
        return "Runs on the CPU, although this machine seems to have an NVIDIA GPU."
    return "Runs on the CPU: no NVIDIA GPU found."
