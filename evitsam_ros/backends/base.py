# SPDX-License-Identifier: Apache-2.0
"""The interface of a backend: everything that the rest of the project uses of an inference runtime."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from ..bundle import Bundle, BundleFiles
    from .device_clock import DeviceClock

#: Where a network computes.
CPU, GPU = "CPU", "GPU"
#: Precisions of a network, the most exact first.
PRECISIONS = ("fp32", "fp16", "bf16", "int8")
#: The values that ``precision`` may have; ``auto``: the fastest that is known to draw the same masks.
PRECISION_CHOICES = ("auto", *PRECISIONS)
#: From images ``(H, W, 3)`` uint8 RGB and the (h, w) of each in the input: the encoder's ``(N, 3, S, S)``.
Preprocess = Callable[[Sequence[np.ndarray], Sequence[tuple[int, int]]], Any]


class BackendError(ValueError):
    """A runtime is unknown, not installed, or rejected a network; the message has the remedy."""


class Network(ABC):
    """A loaded network. Arrays between networks of one runtime may stay on its device.

    Attributes:
        batch: max images of an encoder call, where several cost less together than one by one.
    """

    batch: int = 1

    @abstractmethod
    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Run on named inputs; return the outputs in the order of the ONNX file."""

    def max_prompts_per_call(self, count: int, usual: int, tokens: int | None = None) -> int:
        """Return how many of ``count`` prompts a decoder takes in a call.

        Args:
            count: prompts to decode.
            usual: how many to take where the runtime has no limit of its own.
            tokens: of each prompt: its points, and two corners or a padding point.
        """
        return min(count, usual)

    def token_limits(self) -> tuple[int, int] | None:
        """Return the min and max tokens of a prompt that a decoder takes; None where it takes any number."""
        return None


class FunctionNetwork(Network):
    """A network that is a function of named inputs."""

    def __init__(self, run: Callable[[dict[str, Any]], list[Any]]) -> None:
        self._run = run

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Call the function."""
        return self._run(inputs)


@dataclass(frozen=True)
class Requirement:
    """Describe a package that a backend needs, for ``evitsam doctor``.

    Attributes:
        title: name in messages.
        distributions: import name -> names of the distributions that may provide it; any one suffices.
        install_hint: the command that installs it.
        needed: required for images in, masks out.
    """

    title: str
    distributions: tuple[tuple[str, tuple[str, ...]], ...]
    install_hint: str
    needed: bool = False


class Backend(ABC):
    """An inference runtime. A new one is a subclass with
    :func:`~evitsam_ros.backends.registry.register_backend`, in a module that ``backends/__init__.py`` names.

    Attributes:
        name: as in ``backend=``.
        title: name in messages.
        install_hint: the command that installs it.
        requirements: the packages that it needs.
        auto_rank: its place among the backends that ``auto`` tries, the smallest first; None: only by name.
        cpu_only: it always computes on the CPU. Networks of everything mode alone are then loaded when they
            are first called, and after a failure the next such backend takes over.
        variant_of: the backend that this is a variant of, which keeps to one precision.
        precision: the precision that it keeps to; empty for a backend of several.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    install_hint: ClassVar[str]
    requirements: ClassVar[tuple[Requirement, ...]] = ()
    auto_rank: ClassVar[int | None] = None
    cpu_only: ClassVar[bool] = False
    variant_of: ClassVar[str] = ""
    precision: ClassVar[str] = ""

    @abstractmethod
    def version(self) -> str | None:
        """Return its version, or None when it is not installed or cannot work on this machine."""

    @abstractmethod
    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Load a network of a bundle.

        Args:
            bundle: an opened bundle.
            network: its name in the bundle.
            threads: CPU threads; 0: as many as there are cores.

        Raises:
            BackendError: it cannot be loaded.
        """

    @abstractmethod
    def info(self, bundle: BundleFiles, network: str, threads: int) -> dict[str, str]:
        """Describe how a network runs: ``device``, ``precision``, and further properties that affect its
        speed.
        """

    def auto_reason(self, bundle: BundleFiles) -> str:
        """Return why ``auto`` takes it for a bundle on this machine; empty where it does not."""
        return "" if self.version() is None else "fastest here on a CPU"

    def problem(self, bundle: BundleFiles, network: str) -> str:
        """Return why it is no choice for a network on this machine; empty where it is one."""
        return "not installed" if self.version() is None else ""

    def precision_here(self) -> str:
        """Return the precision that it computes in on this machine; empty for a backend of several."""
        return self.precision

    def gpu_name(self) -> str | None:
        """Return the name of the GPU that loaded networks run on, or None."""
        return None

    def preprocess(self, bundle: Bundle) -> Preprocess | None:
        """Return a function that makes the encoder's input on its device; None: the host makes it."""
        return None

    def synchronize(self) -> None:
        """Wait for the work that was queued, where a call does not."""
        return None

    def device_clock(self) -> DeviceClock | None:
        """Time the work on the device from now on; None where it cannot."""
        return None

    def close(self) -> None:
        """Free the resources on a device; networks raise ``BackendError`` from then on."""
        return None


def installed_version(*distributions: str) -> str | None:
    """Return the version of the first of these distributions that is installed, or None."""
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
