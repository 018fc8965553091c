# SPDX-License-Identifier: Apache-2.0
"""Prompts -> what the decoders read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .prompt import Prompt
from .transform import Transform


def token_count(prompt: Prompt) -> int:
    """How many points the decoder reads of a prompt: its own, and its box's corners or a padding point."""
    return len(prompt.points) + (2 if prompt.box is not None else 1)


def prompt_arrays(prompts: Sequence[Prompt], transform: Transform) -> tuple[np.ndarray, ...]:
    """Prompts of one kind as the decoder's float32 inputs.

    Returns:
        Coordinates ``(B, N, 2)`` and labels ``(B, N)``, with a box's corners or a padding point; mask prompts
        ``(B or 1, 1, h, w)``, and whether there are any ``(B or 1,)``.
    """
    count = len(prompts)
    coords = transform.coords(np.stack([p.points for p in prompts]))
    labels = np.stack([p.labels for p in prompts])
    if prompts[0].box is not None:
        corners = transform.coords(np.stack([p.box for p in prompts]).reshape(count, 2, 2))
        coords = np.concatenate([coords, corners], axis=1)
        labels = np.concatenate([labels, np.tile(np.float32([2, 3]), (count, 1))], axis=1)
    else:
        coords = np.concatenate([coords, np.zeros((count, 1, 2), np.float32)], axis=1)
        labels = np.concatenate([labels, np.full((count, 1), -1, np.float32)], axis=1)
    if prompts[0].mask is None:
        masks, has_mask = np.zeros((1, 1, *transform.mask_size), np.float32), np.zeros(1, np.float32)
    else:
        masks, has_mask = np.stack([p.mask for p in prompts])[:, None], np.ones(count, np.float32)
    return coords.astype(np.float32), labels.astype(np.float32), masks, has_mask
