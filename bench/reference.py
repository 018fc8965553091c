# SPDX-License-Identifier: Apache-2.0
"""Make the mask of a box as the reference implementations do: eager PyTorch, every mask at full size.

Pillow resizes the image with antialiasing, as torchvision does for segment-anything and EfficientViT-SAM. The
model is in its plain form. The three masks are resized to the square of the prompts, cropped to the image and
resized to its size, each by bilinear interpolation. Then the one of highest predicted IoU is selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate, pad

from evitsam_ros.models import create_model
from evitsam_ros.segment.transform import resized_shape

if TYPE_CHECKING:
    from pathlib import Path


class Reference:
    """A model in its plain form, with the weights of a file.

    Args:
        name: of the registry.
        weights: a checkpoint.
        image_size: side of the input in pixels, where it is not the published one.
    """

    def __init__(self, name: str, weights: Path, image_size: int | None = None) -> None:
        self.model = create_model(name, weights, image_size=image_size).eval()
        self.spec = self.model.spec

    @torch.inference_mode()
    def mask(self, image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
        """Return the best mask of a box.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            box: x0, y0, x1, y1 in its pixels.

        Returns:
            ``(H, W)`` bool.
        """
        size = image.shape[:2]
        embedding, high_res = self.encode(self.preprocess(image))
        height, width = resized_shape(size, self.spec.prompt_size)
        corners = torch.tensor(box, dtype=torch.float32).reshape(1, 2, 2)
        corners *= torch.tensor([width / size[1], height / size[0]])
        no_mask = torch.zeros(1, 1, *self.spec.mask_size), torch.zeros(1)
        logits, iou = self.model.decode(embedding, corners, torch.tensor([[2.0, 3.0]]), *no_mask, high_res)
        masks = self.full_size(logits[:, 1:], size) > 0
        return masks[0].numpy()[int(iou[0, 1:].argmax())]

    @torch.inference_mode()
    def encode(self, blob: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Encode ``(1, 3, S, S)`` float32; return the embedding and any high-resolution features."""
        return self.model.embed(blob)

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        """Return ``(H, W, 3)`` uint8 RGB as ``(1, 3, S, S)`` float32, padded at the bottom and the right."""
        side = self.spec.image_size
        height, width = resized_shape(image.shape[:2], side)
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        blob = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float() / 255
        blob = (blob - torch.tensor(self.spec.mean).view(3, 1, 1)) / torch.tensor(self.spec.std).view(3, 1, 1)
        return pad(blob, (0, side - width, 0, side - height))

    def full_size(self, logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Resize ``(1, M, h, w)`` logits to ``(1, M, H, W)``."""
        side = self.spec.prompt_size
        height, width = resized_shape(size, side)
        square = interpolate(logits, (side, side), mode="bilinear", align_corners=False)
        return interpolate(square[..., :height, :width], size, mode="bilinear", align_corners=False)
