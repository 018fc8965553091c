# SPDX-License-Identifier: Apache-2.0
"""Keep everything mode within a time: decode as many prompts as fit, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .prompt import Prompt

#: Share of the budget that is not planned with: times vary.
MARGIN = 0.1
#: Weight of the newest frame in the averages.
NEWEST = 0.2
#: Prompts that are decoded however small the budget is, where there are as many: fewer show next to nothing.
FEWEST = 32
#: Frames in a row without time for them after which the budget counts as too small; the first is often slow.
IN_A_ROW = 3


@dataclass
class LatencyBudget:
    """What a frame may cost, and what a prompt has cost so far.

    Attributes:
        seconds: for a frame, from its arrival to its masks.
        per_prompt, afterwards: running averages in seconds: decoding a prompt, and what follows the decoding.
        left_out: prompts that the last frame had no time for.
        needed: seconds that the last frame takes with the fewest prompts, as far as is known.
        misses: frames in a row whose ``needed`` was more than ``seconds``.
    """

    seconds: float
    per_prompt: float = 0.0
    afterwards: float = 0.0
    left_out: int = 0
    needed: float = 0.0
    misses: int = 0

    @property
    def is_too_small(self) -> bool:
        """Whether the budget cannot be kept, whatever is left out."""
        return self.misses >= IN_A_ROW

    def cut(self, prompts: Sequence[Prompt], spent: float) -> list[Prompt]:
        """Return the first of ``prompts`` that fit when ``spent`` seconds of the frame are gone.

        The fewest (:data:`FEWEST`) are kept in any case. The first frame, of which nothing is known, keeps
        no more.
        """
        left = self.seconds * (1 - MARGIN) - spent - self.afterwards
        count = int(left / self.per_prompt) if self.per_prompt > 0 else 0
        kept = list(prompts[: max(FEWEST, count)])
        self.left_out = len(prompts) - len(kept)
        self.needed = spent + min(FEWEST, len(prompts)) * self.per_prompt + self.afterwards
        self.misses = self.misses + 1 if self.needed > self.seconds else 0
        return kept

    def learn(self, prompts: int, decoding: float, afterwards: float) -> None:
        """Learn from a frame: its prompts, and the seconds of their decoding and of what followed."""
        if prompts:
            cost = decoding / prompts
            # Few prompts say little of what many cost each; many say it well.
            share = NEWEST if self.per_prompt else 1.0
            self.per_prompt += share * (cost - self.per_prompt)
        self.afterwards += NEWEST * (afterwards - self.afterwards)
