# SPDX-License-Identifier: Apache-2.0
"""The backends of a CPU, measured beside the running node, once for a bundle on a machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autotune.needed import measuring_command
from ..backends import BACKENDS
from ..backends.choice import Choice, read_choice
from ..backends.tensorrt.background_build import EngineSwitch
from ..segment import Prompt, Segmenter
from .parameters import SegmenterParameters

#: (H, W) of the black image that a new runtime plans its networks on.
_WARM_UP_SIZE = (64, 64)


class MeasuredRuntime:
    """Start the measurement of a bundle, and open the chosen backends.

    Args:
        segmenter: as it runs now.
        parameters: as configured.
        logger: of the node.
        warn: called with messages for the user.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        parameters: SegmenterParameters,
        logger: Any,
        warn: Callable[[str], None],
    ) -> None:
        self._bundle, self._runtime = segmenter.bundle, segmenter.runtime
        self._parameters, self._logger, self._warn = parameters, logger, warn
        self._is_left = self._may_be_measured()

    def start(self) -> EngineSwitch[Segmenter] | None:
        """Start measuring if that is left to do; at once, and only once."""
        if not self._is_left:
            return None
        self._is_left = False
        return EngineSwitch(
            measuring_command(self._bundle.folder),
            self._open,
            lambda reason: self._warn(f"{reason}; the networks stay in float32"),
            drop=Segmenter.close,
            task="the measurement of the backends",
        )

    def _may_be_measured(self) -> bool:
        if (self._parameters.backend, self._parameters.precision) != ("auto", "auto"):
            return False
        if not all(name in BACKENDS and BACKENDS[name].cpu_only for name in self._runtime.backends):
            return False
        choice = read_choice(self._bundle)
        return choice is None or not choice.is_final(self._bundle)

    def _open(self) -> Segmenter | None:
        """Log the choice, and open it if it differs from the current one."""
        choice = read_choice(self._bundle)
        if choice is None:
            raise ValueError("the cache has no choice of this machine")
        self._logger.info(f"measured: {choice}")
        if choice.unsettled:
            self._warn(unsettled_text(choice, self._bundle.name))
        if set(choice.backends.values()) <= self._runtime.backends and self._runtime.choice is None:
            return None
        opened = Segmenter.open(self._bundle.folder, threads=self._parameters.threads)
        try:
            self._plan(opened)
        except Exception as error:  # of any kind, as runtimes raise them
            opened.close()
            raise ValueError(f"{type(error).__name__}: {error}") from error
        return opened

    def _plan(self, segmenter: Segmenter) -> None:
        """Run every network that the mode needs once: the first call of each takes longer."""
        embedding = segmenter.embed(np.zeros((*_WARM_UP_SIZE, 3), np.uint8))
        segmenter.decode(embedding, [Prompt.parse(box=(8.0, 8.0, 40.0, 40.0))])
        if self._parameters.mode == "everything":
            segmenter.everything(embedding, self._parameters.max_prompts)


def unsettled_text(choice: Choice, model: str) -> str:
    """Return which networks stay in float32 without a choice, why, and the remedy."""
    networks = ", ".join(choice.unsettled)
    reasons = "; ".join(dict.fromkeys(choice.unsettled.values()))
    return (
        f"{networks} of {model} stay in float32, not measured: {reasons}. The next start tries again; "
        f"'evitsam build --target cpu --model {model}' takes the time that it needs"
    )
