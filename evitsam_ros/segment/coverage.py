# SPDX-License-Identifier: Apache-2.0
"""Points where no other prompt looks: what AutoPPN proposes clusters on small things, and walls, floors and
skies between them stay without a prompt."""

from __future__ import annotations

import numpy as np

from .everything import grid_points, grid_prompts
from .prompt import Prompt

#: Share of a frame's prompts that covering points may take.
SHARE = 1 / 4
#: Places for them along each side of the image.
PER_SIDE = 20


def covering_points(known: list[Prompt], size: tuple[int, int], count: int) -> list[Prompt]:
    """Up to ``count`` points, each the farthest from all before it and from where ``known`` look.

    Args:
        known: prompts that are decoded anyway, in pixels of the image; of a box without points, its middle.
        size: (H, W) of the image, pixels.
        count: at most so many; if nothing is known, a square grid of no more.
    """
    if not known or count <= 0:
        return grid_prompts(size, int(max(count, 0) ** 0.5))
    taken = np.concatenate([_places(prompt) for prompt in known])
    spots = grid_points(size, PER_SIDE)
    distances = np.linalg.norm(spots[:, None] - taken[None], axis=2).min(1)
    found = []
    for _ in range(min(count, len(spots))):
        farthest = int(distances.argmax())
        found.append(Prompt(points=spots[farthest][None]))
        distances = np.minimum(distances, np.linalg.norm(spots - spots[farthest], axis=1))
    return found


def _places(prompt: Prompt) -> np.ndarray:
    """Return ``(N, 2)`` pixels where a prompt looks; of a mask alone none."""
    if prompt.box is None or len(prompt.points):
        return prompt.points
    return np.asarray(prompt.box.reshape(2, 2).mean(0)[None])
