# SPDX-License-Identifier: Apache-2.0
"""Image + prompts -> masks. No ROS, no torch."""

from .budget import LatencyBudget
from .closer import CloserLooks, look_closer
from .frame import Embedding, Frame
from .mask_filter import Thresholds
from .mask_generator import GeneratorOptions, MaskGenerator
from .masks import Masks
from .overlay import draw_label_map, draw_overlay
from .prompt import Prompt, PromptError
from .segmenter import Segmenter

__all__ = [
    "CloserLooks",
    "Embedding",
    "Frame",
    "GeneratorOptions",
    "LatencyBudget",
    "MaskGenerator",
    "Masks",
    "Prompt",
    "PromptError",
    "Segmenter",
    "Thresholds",
    "draw_label_map",
    "draw_overlay",
    "look_closer",
]
