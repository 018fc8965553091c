# SPDX-License-Identifier: Apache-2.0
"""The photographs of the package that candidates are measured and proved on."""

from __future__ import annotations

import numpy as np

from ..io.sources import open_source

PHOTOGRAPHS = "example:astronaut,coffee"


def photographs() -> list[np.ndarray]:
    """Return the photographs, ``(H, W, 3)`` uint8 RGB.

    Raises:
        SourceError: they are not installed.
    """
    return [np.ascontiguousarray(frame[..., ::-1]) for frame in open_source(PHOTOGRAPHS, loop=False)]
