# SPDX-License-Identifier: Apache-2.0
"""A box's mask as the reference implementations make it: eager PyTorch, every mask brought to full size.

The picture is resized by Pillow, antialiased, as torchvision does for segment-anything and EfficientViT-SAM;
the model is in its plain form; the three masks are brought to the square of the prompts, cut to the picture
and brought to its size, each by bilinear interpolation, before the best by predicted IoU is taken.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate, pad

from evitsam_ros.models import create_model
from evitsam_ros.segment.transform import resized_shape


class Reference:
    """A model in its plain form with the weights of a file."""

    def __init__(self, name: str, weights: Path) -> None:
        self.model = create_model(name, weights).eval()
        self.spec = self.model.spec

    @torch.inference_mode()
    def mask(self, image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB and x0, y0, x1, y1 in its pixels -> ``(H, W)`` bool."""
        size = image.shape[:2]
        embedding, high_res = self.encode(self.preprocess(image))
        height, width = resized_shape(size, self.spec.prompt_size)
        corners = torch.tensor(box, dtype=torch.float32).reshape(1, 2, 2)
        corners *= torch.tensor([width / size[1], height / size[0]])
        nothing = torch.zeros(1, 1, *self.spec.mask_size), torch.zeros(1)
        logits, iou = self.model.decode(embedding, corners, torch.tensor([[2.0, 3.0]]), *nothing, high_res)
        masks = self.full_size(logits[:, 1:], size) > 0
        return masks[0].numpy()[int(iou[0, 1:].argmax())]

    @torch.inference_mode()
    def encode(self, blob: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """``(1, 3, S, S)`` float32 -> the embedding, and high-resolution features if there are some."""
        return self.model.embed(blob)

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """``(H, W, 3)`` uint8 RGB -> ``(1, 3, S, S)`` float32, padded at the bottom and at the right."""
        side = self.spec.image_size
        height, width = resized_shape(image.shape[:2], side)
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        blob = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float() / 255
        blob = (blob - torch.tensor(self.spec.mean).view(3, 1, 1)) / torch.tensor(self.spec.std).view(3, 1, 1)
        return pad(blob, (0, side - width, 0, side - height))

    def full_size(self, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """``(1, M, h, w)`` -> ``(1, M, H, W)``."""
        side = self.spec.prompt_size
        height, width = resized_shape(size, side)
        square = interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        return interpolate(square[..., :height, :width], size, mode="bilinear", align_corners=False)
