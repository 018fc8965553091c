# SPDX-License-Identifier: Apache-2.0
"""A value for every pixel: semantic label maps and super-resolution. No ROS, no torch."""

from .bundle import SemanticBundle, UpscaleBundle, open_semantic, open_upscale
from .class_tables import ClassTable
from .semantic import LabelMap, MaskClasses, SemanticSegmenter
from .upscale import Upscaler

__all__ = [
    "ClassTable",
    "LabelMap",
    "MaskClasses",
    "SemanticBundle",
    "SemanticSegmenter",
    "UpscaleBundle",
    "Upscaler",
    "open_semantic",
    "open_upscale",
]
