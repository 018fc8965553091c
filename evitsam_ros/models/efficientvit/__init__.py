# SPDX-License-Identifier: Apache-2.0
"""EfficientViT: the image encoders of EfficientViT-SAM."""

from .encoder import build_encoder

__all__ = ["build_encoder"]
