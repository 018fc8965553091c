# SPDX-License-Identifier: Apache-2.0
"""Image + prompts -> masks. No ROS, no torch."""

from .budget import LatencyBudget
from .everything import Thresholds
from .frame import Frame
from .masks import Masks
from .overlay import draw_label_map, draw_overlay
from .prompt import Prompt, PromptError
from .segmenter import Embedding, Segmenter

__all__ = [
    "Embedding",
    "Frame",
    "LatencyBudget",
    "Masks",
    "Prompt",
    "PromptError",
    "Segmenter",
    "Thresholds",
    "draw_label_map",
    "draw_overlay",
]
