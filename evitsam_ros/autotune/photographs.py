# SPDX-License-Identifier: Apache-2.0
"""The photographs that candidates are measured and proved on."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ..io.sources import open_source, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Those of the package.
PHOTOGRAPHS = ("example:astronaut,coffee",)


def photographs(sources: Sequence[str] = PHOTOGRAPHS, count: int = 2) -> list[np.ndarray]:
    """Return images of sources, evenly spread over them, ``(H, W, 3)`` uint8 RGB.

    Raises:
        SourceError: a source cannot be opened.
    """
    frames = chain.from_iterable(open_source(source, loop=False) for source in sources)
    return [np.ascontiguousarray(frame[..., ::-1]) for frame in spread(frames, count)]
