# SPDX-License-Identifier: Apache-2.0
"""Keep everything mode within a time: decode as many prompts as fit, best first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .prompt import Prompt

#: Share of the budget that is not planned with: times vary.
MARGIN = 0.1
#: Weight of the newest frame in the averages.
NEWEST = 0.2
#: Min number of decoded prompts for any budget: fewer give hardly any masks.
FEWEST = 32
#: Share of the objects on show that is decoded however small the budget is, so that masks do not flicker.
RETAINED = 0.9
#: Frames in a row without time for them after which the budget counts as too small; the first is often slow.
IN_A_ROW = 3


@dataclass
class LatencyBudget:
    """Hold the time limit of a frame, and the measured time per prompt.

    Attributes:
        seconds: for a frame, from its arrival to its masks.
        per_prompt, afterwards: running averages in seconds: decoding a prompt, and the work after the
            decoding.
        min_prompts: that are decoded in any case, where there are as many; None: :data:`FEWEST`.
        on_show: how many of the first prompts of a frame are of objects that the last frame has shown.
        prompts: of the last frame, with those that it had no time for.
        left_out: prompts that the last frame had no time for.
        required: prompts of the last frame that were decoded in any case.
        needed: seconds that the last frame takes with the required prompts alone, as far as is known.
        misses: consecutive frames with ``needed`` above ``seconds``.
        starved: frames in a row of which more than half the prompts were left out.
    """

    seconds: float
    per_prompt: float = 0.0
    afterwards: float = 0.0
    min_prompts: int | None = None
    on_show: int = 0
    prompts: int = 0
    left_out: int = 0
    required: int = 0
    needed: float = 0.0
    misses: int = 0
    starved: int = 0

    @property
    def is_too_small(self) -> bool:
        """Return whether the budget cannot be kept even with the min number of prompts."""
        return self.misses >= IN_A_ROW

    @property
    def is_starving(self) -> bool:
        """Return whether most prompts have been dropped for some frames."""
        return self.starved >= IN_A_ROW

    @property
    def wanted_seconds(self) -> float:
        """Return the seconds that the last frame takes with all its prompts, as far as is known."""
        return self.needed + (self.prompts - self.required) * self.per_prompt

    def cut(self, prompts: Sequence[Prompt], spent: float) -> list[Prompt]:
        """Return the first of ``prompts`` that fit when ``spent`` seconds of the frame are gone.

        ``min_prompts`` and most of those of the objects on show (:data:`RETAINED`) are kept in any case. The
        first frame, without measurements, keeps no more.

        Args:
            prompts: objects on show first, then the best.
            spent: seconds.
        """
        fewest = FEWEST if self.min_prompts is None else self.min_prompts
        required = min(len(prompts), max(fewest, math.ceil(RETAINED * min(self.on_show, len(prompts)))))
        left = self.seconds * (1 - MARGIN) - spent - self.afterwards
        count = int(left / self.per_prompt) if self.per_prompt > 0 else 0
        kept = list(prompts[: max(required, count)])
        self.prompts, self.required, self.left_out = len(prompts), required, len(prompts) - len(kept)
        self.needed = spent + required * self.per_prompt + self.afterwards
        self.misses = self.misses + 1 if self.needed > self.seconds else 0
        self.starved = self.starved + 1 if 2 * self.left_out > len(prompts) else 0
        return kept

    def learn(self, prompts: int, decoding: float, afterwards: float) -> None:
        """Learn from a frame: its prompts, and the seconds of their decoding and of the work after it."""
        if prompts:
            cost = decoding / prompts
            # Few prompts are a poor estimate of the time per prompt of many.
            share = NEWEST if self.per_prompt else 1.0
            self.per_prompt += share * (cost - self.per_prompt)
        self.afterwards += NEWEST * (afterwards - self.afterwards)
