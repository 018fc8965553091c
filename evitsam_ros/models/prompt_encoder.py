# SPDX-License-Identifier: Apache-2.0
"""SAM's prompt encoder ("Segment Anything", section 3 and appendix A): points, boxes and masks to tokens.

Keys and numbers are those of the official checkpoints. The interface is the one of SAM's ONNX decoder:
a box is its two corners as points of labels 2 and 3, label -1 is the padding point that SAM appends when
there is no box.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from .layers import LayerNorm2d

if TYPE_CHECKING:
    from collections.abc import Iterable


class RandomPositionEmbedding(nn.Module):
    """Random Fourier features of positions in 0..1; the matrix is a buffer of the checkpoint."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def forward(self, positions: Tensor) -> Tensor:
        """``(..., 2)`` x, y in 0..1 -> ``(..., 2 * features)``."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """The embedding of the cell centres of a ``height`` x ``width`` grid, ``(1, C, height, width)``."""
        matrix = self.positional_encoding_gaussian_matrix
        ys = (torch.arange(height, device=matrix.device, dtype=matrix.dtype) + 0.5) / height
        xs = (torch.arange(width, device=matrix.device, dtype=matrix.dtype) + 0.5) / width
        positions = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), dim=-1)
        return self(positions).permute(2, 0, 1)[None]


class PromptEncoder(nn.Module):
    """Encode prompts of an image in its padded square of side ``prompt_size`` (pixels of the prompt frame).

    ``embedding_size`` is the (h, w) of the image embedding; mask prompts are ``(4h, 4w)`` low-res logits.
    """

    def __init__(self, prompt_size: int, embedding_size: tuple[int, int], width: int = 256) -> None:
        super().__init__()
        self.prompt_size = prompt_size
        self.embedding_size = embedding_size
        self.pe_layer = RandomPositionEmbedding(width // 2)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, width) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, width)
        self.no_mask_embed = nn.Embedding(1, width)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, width, 1),
        )

    def dense_position(self) -> Tensor:
        """The position embedding of the image grid, ``(1, 256, h, w)``."""
        return self.pe_layer.grid(*self.embedding_size).to(self.no_mask_embed.weight.dtype)

    def embed_points(self, coords: Tensor, labels: Tensor) -> Tensor:
        """``(B, N, 2)`` pixels of the prompt frame and ``(B, N)`` labels -> ``(B, N, 256)`` tokens.

        Labels: -1 padding, 0 background, 1 foreground, 2 and 3 the top-left and bottom-right corner.
        """
        # Fourier features need exact coordinates: float32 until here, for every dtype of the weights.
        tokens = self.pe_layer((coords + 0.5) / self.prompt_size).to(self.no_mask_embed.weight.dtype)
        labels = labels[..., None]
        tokens = tokens * (labels != -1).to(tokens.dtype)
        tokens = tokens + (labels == -1).to(tokens.dtype) * self.not_a_point_embed.weight
        for value, embedding in enumerate(cast("Iterable[nn.Embedding]", self.point_embeddings)):
            tokens = tokens + (labels == value).to(tokens.dtype) * embedding.weight
        return tokens

    def embed_masks(self, masks: Tensor, has_mask: Tensor) -> Tensor:
        """``(M, 1, 4h, 4w)`` low-res logits and ``(M,)`` 0/1 -> ``(M, 256, h, w)`` added to the image."""
        present = has_mask.reshape(-1, 1, 1, 1)
        nothing = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return present * self.mask_downscaling(masks) + (1 - present) * nothing
