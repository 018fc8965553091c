# SPDX-License-Identifier: Apache-2.0
"""Own the runtime of an opened dense bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..backends import Runtime


class DenseRunner:
    """Own the runtime of a network with a value for every pixel.

    Args:
        runtime: of the opened bundle.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def description(self) -> str:
        """Return which runtime was chosen, and why."""
        return self.runtime.description

    def close(self) -> None:
        """Free the runtime's resources; closing twice is allowed."""
        self.runtime.close()
