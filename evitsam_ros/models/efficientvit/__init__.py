# SPDX-License-Identifier: Apache-2.0
"""EfficientViT: image encoders of EfficientViT-SAM, classifiers, segmentation and super-resolution."""

from .encoder import build_encoder

__all__ = ["build_encoder"]
