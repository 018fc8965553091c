# SPDX-License-Identifier: Apache-2.0
"""Keep everything mode within a time: decode the best prompts, and as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .prompt import Prompt

#: Share of the budget that is not planned with: times vary.
MARGIN = 0.1
#: Weight of the newest frame in the averages.
NEWEST = 0.2


@dataclass
class LatencyBudget:
    """What a frame may cost, and what a prompt has cost so far.

    Attributes:
        seconds: for a frame, from its arrival to its masks.
        per_prompt, afterwards: running averages in seconds: decoding a prompt, and what follows the decoding.
        left_out: prompts that the last frame had no time for.
    """

    seconds: float
    per_prompt: float = 0.0
    afterwards: float = 0.0
    left_out: int = 0

    def cut(self, prompts: Sequence[Prompt], spent: float) -> list[Prompt]:
        """The first of ``prompts`` that fit when ``spent`` seconds of the frame are gone; at least one.

        The first frame, of which nothing is known, decodes a single one.
        """
        left = self.seconds * (1 - MARGIN) - spent - self.afterwards
        count = int(left / self.per_prompt) if self.per_prompt > 0 else 1
        kept = list(prompts[: max(1, count)])
        self.left_out = len(prompts) - len(kept)
        return kept

    def learn(self, prompts: int, decoding: float, afterwards: float) -> None:
        """What a frame did cost: so many prompts, and the seconds of their decoding and of what followed."""
        if prompts:
            cost = decoding / prompts
            # Few prompts say little of what many cost each; many say it well.
            share = NEWEST if self.per_prompt else 1.0
            self.per_prompt += share * (cost - self.per_prompt)
        self.afterwards += NEWEST * (afterwards - self.afterwards)
