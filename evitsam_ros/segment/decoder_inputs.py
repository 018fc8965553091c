# SPDX-License-Identifier: Apache-2.0
"""Group prompts into decoder calls, and make the decoders' inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .prompt import Prompt, PromptError
from .quadtree_view import focus_point

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..backends import Runtime
    from .transform import Transform

#: Default max prompts of a decoder call: on a CPU 16 cost the same a prompt as 64, at a
#: quarter of the memory.
CHUNK = 16
#: The same of the foveal decoder, which has little work per prompt.
FOVEAL_CHUNK = 64


def token_count(prompt: Prompt) -> int:
    """How many points the decoder reads of a prompt: its own, and its box's corners or a padding point."""
    return len(prompt.points) + (2 if prompt.box is not None else 1)


def batches(
    prompts: Sequence[Prompt], runtime: Runtime, foveal: bool, model: str
) -> Iterator[tuple[list[int], str]]:
    """Group prompts into decoder calls.

    Only prompts with as many points go together: a padding point is a token that the decoder sees, so
    padding beyond SAM's own would change the masks.

    Args:
        prompts: in any order.
        runtime: its engines limit the size of a call.
        foveal: use the foveal decoder for prompts that it takes.
        model: the bundle's name, for errors.

    Yields:
        Indices of prompts of one kind, at most a chunk together, and the decoder that they are for.

    Raises:
        PromptError: an engine takes no prompt of so many points.
    """
    kinds: dict[tuple[str, int, bool, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        network = "foveal_decoder" if foveal and focus_point(prompt) is not None else "decoder"
        kind = (network, len(prompt.points), prompt.box is not None, prompt.mask is not None)
        kinds.setdefault(kind, []).append(index)
    for (network, *_), members in kinds.items():
        usual = FOVEAL_CHUNK if network == "foveal_decoder" else CHUNK
        tokens = token_count(prompts[members[0]])
        try:
            check_tokens(prompts[members[0]], network, runtime, model)
        except PromptError as error:
            raise PromptError(f"prompt {members[0]}: {error}") from error
        while members:
            count = runtime.max_prompts_per_call(network, len(members), usual, tokens)
            yield members[:count], network
            members = members[count:]


def check_tokens(prompt: Prompt, network: str, runtime: Runtime, model: str) -> None:
    """Raise ``PromptError`` if a decoder of this runtime takes no prompt of so many points."""
    limits, tokens = runtime.token_limits(network), token_count(prompt)
    if limits is not None and not limits[0] <= tokens <= limits[1]:
        raise PromptError(
            f"{len(prompt.points)} points and {'a' if prompt.box is not None else 'no'} box are {tokens} "
            f"tokens; the engine of the {network} takes {limits[0]} to {limits[1]}. One that takes every "
            f"prompt: evitsam build --model {model}"
        )


def prompt_arrays(
    prompts: Sequence[Prompt], transform: Transform
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Prompts of one kind as the decoder's float32 inputs.

    Returns:
        Coordinates ``(B, N, 2)`` and labels ``(B, N)``, with a box's corners or a padding point; mask prompts
        ``(B or 1, 1, h, w)``, and whether there are any ``(B or 1,)``.
    """
    count = len(prompts)
    coords = transform.coords(np.stack([p.points for p in prompts]))
    labels = np.stack([p.labels for p in prompts])
    boxes = [p.box for p in prompts if p.box is not None]
    if boxes:
        corners = transform.coords(np.stack(boxes).reshape(count, 2, 2))
        coords = np.concatenate([coords, corners], axis=1)
        labels = np.concatenate([labels, np.tile(np.array([2, 3], np.float32), (count, 1))], axis=1)
    else:
        coords = np.concatenate([coords, np.zeros((count, 1, 2), np.float32)], axis=1)
        labels = np.concatenate([labels, np.full((count, 1), -1, np.float32)], axis=1)
    given = [p.mask for p in prompts if p.mask is not None]
    if given:
        masks, has_mask = np.stack(given)[:, None], np.ones(count, np.float32)
    else:
        masks, has_mask = np.zeros((1, 1, *transform.mask_size), np.float32), np.zeros(1, np.float32)
    return coords.astype(np.float32), labels.astype(np.float32), masks, has_mask
