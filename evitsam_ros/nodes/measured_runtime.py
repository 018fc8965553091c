# SPDX-License-Identifier: Apache-2.0
"""The backends of a CPU, measured beside the running node, once for a bundle on a machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from ..autotune.needed import measuring_command
from ..backends import BACKENDS, Runtime
from ..backends.choice import Choice, read_choice
from ..backends.tensorrt.background_build import EngineSwitch
from ..bundle import BundleFiles
from ..segment import Prompt, Segmenter

#: (H, W) of the black image that a new runtime plans its networks on.
_WARM_UP_SIZE = (64, 64)


class Opened(Protocol):
    """Define an opened bundle on its runtime: a ``Segmenter`` or a ``SemanticSegmenter``."""

    @property
    def bundle(self) -> BundleFiles:
        """Return the bundle."""

    runtime: Runtime

    def close(self) -> None:
        """Free the runtime's resources."""


Made = TypeVar("Made", bound=Opened)


class MeasuredRuntime(Generic[Made]):
    """Start the measurement of a bundle, and open the chosen backends.

    Args:
        opened: as it runs now.
        open_: opens the bundle again.
        plan: runs every network of an opened bundle once: the first call of each takes longer.
        logger: of the node.
        warn: called with messages for the user.
        is_auto: backend and precision are to be chosen.
    """

    def __init__(
        self,
        opened: Made,
        open_: Callable[[], Made],
        plan: Callable[[Made], Any],
        logger: Any,
        warn: Callable[[str], None],
        *,
        is_auto: bool,
    ) -> None:
        self._bundle, self._runtime = opened.bundle, opened.runtime
        self._reopen, self._plan, self._logger, self._warn = open_, plan, logger, warn
        self._is_left = is_auto and self._may_be_measured()

    def start(self) -> EngineSwitch[Made] | None:
        """Start measuring if that is left to do; at once, and only once."""
        if not self._is_left:
            return None
        self._is_left = False
        return EngineSwitch(
            measuring_command(self._bundle.folder),
            self._open,
            lambda reason: self._warn(f"{reason}; the networks stay in float32"),
            drop=lambda opened: opened.close(),
            task="the measurement of the backends",
        )

    def _may_be_measured(self) -> bool:
        if not all(name in BACKENDS and BACKENDS[name].cpu_only for name in self._runtime.backends):
            return False
        choice = read_choice(self._bundle)
        return choice is None or not choice.is_final(self._bundle)

    def _open(self) -> Made | None:
        """Log the choice, and open it if it differs from the current one."""
        choice = read_choice(self._bundle)
        if choice is None:
            raise ValueError("the cache has no choice of this machine")
        self._logger.info(f"measured: {choice}")
        if choice.unsettled:
            self._warn(unsettled_text(choice, self._bundle.name))
        if set(choice.backends.values()) <= self._runtime.backends and self._runtime.choice is None:
            return None
        opened = self._reopen()
        try:
            self._plan(opened)
        except Exception as error:  # of any kind, as runtimes raise them
            opened.close()
            raise ValueError(f"{type(error).__name__}: {error}") from error
        return opened


def run_networks(segmenter: Segmenter, mode: str, max_prompts: int) -> None:
    """Run every network once that a mode of the segmenter needs."""
    embedding = segmenter.embed(np.zeros((*_WARM_UP_SIZE, 3), np.uint8))
    segmenter.decode(embedding, [Prompt.parse(box=(8.0, 8.0, 40.0, 40.0))])
    if mode == "everything":
        segmenter.everything(embedding, max_prompts)


def unsettled_text(choice: Choice, model: str) -> str:
    """Return which networks stay in float32 without a choice, why, and the remedy."""
    networks = ", ".join(choice.unsettled)
    reasons = "; ".join(dict.fromkeys(choice.unsettled.values()))
    return (
        f"{networks} of {model} stay in float32, not measured: {reasons}. The next start tries again; "
        f"'evitsam build --target cpu --model {model}' takes the time that it needs"
    )
