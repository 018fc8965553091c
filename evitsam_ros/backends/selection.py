# SPDX-License-Identifier: Apache-2.0
"""Choose the backend of a bundle, and describe why: a node must not run on the CPU unnoticed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from .base import PRECISION_CHOICES, Backend, BackendError, Network
from .choice import Choice, read_choice
from .registry import auto_backends, find_backend, in_precision, ranked_on_cpu
from .runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..bundle import Bundle, BundleFiles

#: Networks of everything mode alone, which CPU backends load when they are first called: prompt mode starts
#: sooner and takes less memory.
LAZY_NETWORKS = ("proposals", "foveal_decoder")

#: Remedies for a precision that a machine or a bundle does not have.
_NEEDS = (
    "fp16 needs a GPU (evitsam build --precision) or OpenVINO on an Arm CPU; bf16 a GPU, or OpenVINO on a "
    "CPU with AMX or AVX512-BF16; int8 a GPU, or a bundle with an int8 form (evitsam quantize)"
)


def open_runtime(
    bundle: BundleFiles,
    backend: str = "auto",
    threads: int = 0,
    exclude: frozenset[str] = frozenset(),
    precision: str = "auto",
) -> Runtime:
    """Load every network of a bundle on a backend.

    ``auto`` takes the first by rank that works: TensorRT where this machine has a GPU and the cache an engine
    of every network, torch where that sees the GPU, and CPU runtimes elsewhere. On a CPU it takes the
    measured and proved choice (see :mod:`.choice`), or float32 if there is none. The description has the
    reason. One backend, in one precision or several, runs all networks: the threads of two get in each
    other's way.

    Args:
        bundle: an opened bundle.
        backend: a backend's name, or ``auto``.
        threads: CPU threads for a network; 0: as many as there are cores.
        exclude: backends that ``auto`` passes over because they failed.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``; or ``auto``.

    Raises:
        BackendError: the backend or the precision is unknown, the backend is not installed or does not
            compute in the precision, or none is left.
    """
    if precision not in PRECISION_CHOICES:
        raise BackendError(
            f"precision {precision!r} is unknown; expected one of {', '.join(PRECISION_CHOICES)}"
        )
    if backend != "auto":
        return _open_named(bundle, find_backend(backend), threads, precision)
    problems, passed, hint = "", [], ""
    for kind in auto_backends():
        hint = kind.install_hint
        if kind.name in exclude:
            passed += [f"{kind.name} failed"] if kind.cpu_only else []
            continue
        reason = kind().auto_reason(bundle)
        if not reason:
            passed += [f"{kind.name} not installed"] if kind.cpu_only else []
            continue
        try:
            if precision != "auto":
                if in_precision(kind, precision) is None:
                    continue
                opened = _open_named(bundle, kind, threads, precision)
                return replace(opened, description=opened.description + problems)
            if kind.cpu_only and (chosen := _open_chosen(bundle, threads, exclude)):
                return replace(chosen, description=chosen.description + problems)
            runtime = _load(bundle, _same(bundle, kind), ", ".join(passed) or reason, threads)
        except BackendError as error:
            if kind.cpu_only and precision == "auto":
                raise
            problems += f" {kind.title} is not used: {error}."
            continue
        return replace(runtime, description=runtime.description + problems)
    if precision != "auto":
        raise BackendError(f"no runtime here computes {bundle.name} in {precision}: {_NEEDS}.{problems}")
    raise BackendError(f"no inference runtime is installed: {hint}")


def _same(bundle: BundleFiles, kind: type[Backend]) -> dict[str, Backend]:
    """Return one backend for all networks of a bundle."""
    return dict.fromkeys(bundle.networks, kind())


def _open_named(bundle: BundleFiles, kind: type[Backend], threads: int, precision: str) -> Runtime:
    """Open a backend by name, in the precision that is asked for.

    Raises:
        BackendError: it cannot be loaded, or a network would run in another precision.
    """
    if precision == "auto":
        return _load(bundle, _same(bundle, kind), "as asked", threads)
    if kind().version() is None:
        raise BackendError(f"{kind.name} is not installed; {kind.install_hint}")
    variant = in_precision(kind, precision) or kind
    runtime = _load(bundle, _same(bundle, variant), "as asked", threads)
    found = {name: facts["precision"] for name, facts in runtime.info().items()}
    # Of int8 a network may have no form; the others are as exact or more.
    wrong = (
        []
        if precision == "int8" and "int8" in found.values()
        else [name for name, each in found.items() if each != precision]
    )
    if not wrong:
        return runtime
    facts = runtime.info()[wrong[0]]
    runtime.close()
    raise BackendError(
        f"precision {precision}: {wrong[0]} would run in {facts['precision']} ({facts['runtime']}); {_NEEDS}"
    )


def _open_chosen(bundle: BundleFiles, threads: int, exclude: frozenset[str]) -> Runtime | None:
    """Open the backends that were measured and proved on this machine; None where there are none."""
    choice = read_choice(bundle)
    default = next((kind for kind in ranked_on_cpu() if kind().version() is not None), None)
    if choice is None or not choice.networks or default is None:
        return None
    names = {network: choice.backends.get(network, default.name) for network in bundle.networks}
    families = {find_backend(name).variant_of or name for name in names.values()}
    if (set(names.values()) | families) & exclude or len(families) > 1:
        return None
    made = {name: find_backend(name)() for name in set(names.values())}
    backends = {network: made[name] for network, name in names.items()}
    try:
        runtime = _load(bundle, backends, "measured", threads)
    except BackendError:
        return None  # float32 has to work, or fails with the reason
    return replace(runtime, choice=choice, info=lambda: _with_candidates(runtime.info(), choice))


def _with_candidates(info: dict[str, dict[str, str]], choice: Choice) -> dict[str, dict[str, str]]:
    """Return how networks run, with the measurements of each."""
    measured = {name: {"measured": str(found)} for name, found in choice.networks.items()}
    return {name: facts | measured.get(name, {}) for name, facts in info.items()}


def _load(bundle: BundleFiles, backends: dict[str, Backend], why: str, threads: int) -> Runtime:
    """Load all networks, each on its backend; free the loaded ones if one fails."""
    own = list(dict.fromkeys(backends.values()))
    versions = {backend.name: backend.version() for backend in own}
    for backend in own:
        if versions[backend.name] is None:
            raise BackendError(f"{backend.name} is not installed; {backend.install_hint}")

    def close() -> None:
        for backend in own:
            backend.close()

    # Several backends are all of the CPU; device properties are the encoder's.
    first = backends.get("encoder", own[0])
    try:
        networks = {name: _load_network(backends[name], bundle, name, threads) for name in bundle.networks}
        # The other kinds of bundles have one network, which makes its input itself.
        preprocess = first.preprocess(cast("Bundle", bundle)) if "encoder" in networks else None
    except BaseException:
        close()
        raise

    def info() -> dict[str, dict[str, str]]:
        return {
            name: {"runtime": f"{backend.name} {versions[backend.name]}"}
            | backend.info(bundle, name, threads)
            for name, backend in backends.items()
        }

    parts = "; ".join(
        f"{name}: {backend.name} {versions[backend.name]} ({why})" for name, backend in backends.items()
    )
    return Runtime(
        networks,
        f"{parts}. {_device(first)}",
        backends=frozenset(versions),
        preprocess=preprocess,
        batch=networks.get("encoder", next(iter(networks.values()))).batch,
        info=info,
        synchronize=first.synchronize,
        device_clock=first.device_clock,
        release=close,
    )


def _load_network(backend: Backend, bundle: BundleFiles, name: str, threads: int) -> Network:
    if backend.cpu_only and name in LAZY_NETWORKS:
        return LazyNetwork(partial(_load_checked, backend, bundle, name, threads))
    return backend.load(bundle, name, threads)


def _load_checked(backend: Backend, bundle: BundleFiles, name: str, threads: int) -> Network:
    """Load a network after checking that its files have not changed since the bundle was opened.

    Raises:
        BundleError: they have changed.
    """
    bundle.check(name)
    return backend.load(bundle, name, threads)


class LazyNetwork(Network):
    """A network that is loaded at its first call. It has no limits of its own, as on every CPU backend."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load = load
        self._network: Network | None = None

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Run the network; load it before the first call."""
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
