# SPDX-License-Identifier: Apache-2.0
"""Networks that remember their outputs, so that a proof need not compute again what was timed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import Network

if TYPE_CHECKING:
    from collections.abc import Callable


class RememberedNetwork(Network):
    """A network that keeps its outputs by its inputs.

    Args:
        network: loaded.
        clock: seconds.
    """

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self._network, self._clock = network, clock
        self._known: dict[int, list[Any]] = {}

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs; run the network only where they are not known."""
        key = _key(inputs)
        if key not in self._known:
            self._known[key] = self._network(inputs)
        return self._known[key]

    def timed(self, inputs: dict[str, Any]) -> float:
        """Run the network in any case; return the seconds that it took."""
        start = self._clock()
        outputs = self._network(inputs)
        taken = self._clock() - start
        self._known[_key(inputs)] = outputs
        return taken


def _key(inputs: dict[str, Any]) -> int:
    arrays = [(name, np.ascontiguousarray(value)) for name, value in sorted(inputs.items())]
    return hash(tuple((name, value.shape, hash(value.tobytes())) for name, value in arrays))
