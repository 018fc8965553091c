# SPDX-License-Identifier: Apache-2.0
"""Register and select the backends by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .base import PRECISIONS, Backend, BackendError, Requirement

if TYPE_CHECKING:
    from ..bundle import BundleFiles

#: By name, in the order of registration.
BACKENDS: dict[str, type[Backend]] = {}

Registered = TypeVar("Registered", bound=type[Backend])


def register_backend(backend: Registered) -> Registered:
    """Register a backend by its name; a class decorator.

    Raises:
        ValueError: the name is taken.
    """
    if backend.name == "auto" or backend.name in BACKENDS:
        raise ValueError(f"backend {backend.name!r} is registered already; expected another name")
    BACKENDS[backend.name] = backend
    return backend


def backend_choices() -> tuple[str, ...]:
    """Return the values that ``backend`` may have."""
    return ("auto", *BACKENDS)


def find_backend(name: str) -> type[Backend]:
    """Return a backend by its name.

    Raises:
        BackendError: it is unknown.
    """
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; expected {', '.join(backend_choices())}")
    return BACKENDS[name]


def auto_backends() -> list[type[Backend]]:
    """Return the backends that ``auto`` tries, in their order."""
    ranked = [(backend.auto_rank, backend) for backend in BACKENDS.values() if backend.auto_rank is not None]
    return [backend for _, backend in sorted(ranked, key=lambda pair: pair[0])]


def ranked_on_cpu() -> list[type[Backend]]:
    """Return the backends of the CPU that ``auto`` tries, in their order, installed or not."""
    return [backend for backend in auto_backends() if backend.cpu_only]


def requirements() -> list[Requirement]:
    """Return the packages that backends need, each once."""
    return list(dict.fromkeys(each for backend in BACKENDS.values() for each in backend.requirements))


def in_precision(backend: type[Backend], precision: str) -> type[Backend] | None:
    """Return the backend or its variant for a precision; None if neither supports it here.

    Args:
        backend: one that is installed.
        precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``.
    """
    for variant in BACKENDS.values():
        if variant.variant_of == backend.name and variant.precision == precision and variant().version():
            return variant
    return backend if backend().precision_here() == precision else None


def cpu_candidates(bundle: BundleFiles, network: str) -> list[type[Backend]]:
    """Return the backends of the CPU that can run a network here: by rank, then the most exact first."""
    found = []
    for kind in ranked_on_cpu():
        variants = [variant for variant in BACKENDS.values() if variant.variant_of == kind.name]
        ordered = sorted(variants, key=lambda variant: PRECISIONS.index(variant.precision))
        found += [each for each in (kind, *ordered) if not each().problem(bundle, network)]
    return found


def exclude_failed(excluded: frozenset[str], failed: frozenset[str]) -> frozenset[str]:
    """Return which backends ``auto`` passes over after a failure.

    One that uses a GPU stays excluded. Those of the CPU take turns: one of them is always left.

    Args:
        excluded: those that are passed over already.
        failed: those that have failed now.
    """
    on_cpu = [kind.name for kind in ranked_on_cpu() if kind().version() is not None]
    on_gpu = (excluded | failed) - set(on_cpu)
    passed_over = (excluded | failed) & set(on_cpu)
    if len(passed_over) == len(on_cpu):
        passed_over = failed if failed < passed_over else frozenset(on_cpu[:-1][:1])
    return on_gpu | passed_over
