# SPDX-License-Identifier: Apache-2.0
"""Decode the many prompts of everything mode, with fine resolution near each prompt only.

The decoder's cost is the image side of a prompt: every cell of the embedding is looked at and updated for
each. A retina needs less: it has full resolution at the fixation point, lower resolution around it, and
covers the field of view. Here the tokens attend to the full image once, in the first block, with an image
side that all prompts share; from there on a prompt has cells of its own, of any size. With all cells of the
embedding it is the decoder itself; with fewer and larger ones an approximation (README, "Design"). Not in the
papers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..bundle import FOVEAL_STRIDES
from .decoder_rewrites import (
    FoldedAttention,
    PlainAttention,
    final_tokens,
    image_after,
    three_masks,
    tokens_after,
)
from .mask_decoder import cell_rows
from .static_reshape import reshape
from .two_way_transformer import TwoWayBlock, flatten_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .sam import Sam


class FovealDecoder(nn.Module):
    """The interface of ``foveal_decoder.onnx``.

    ``forward`` takes ``image_embeddings (1, 256, h, w)``, ``point_coords (B, N, 2)`` and ``point_labels (B,
    N)`` as the decoder does, and ``cells (B, K)`` int32: the cells that each prompt reads. Cells are numbered
    row by row, first the embedding's own from 0, then the means of 2 x 2 of them, of 4 x 4 and of 8 x 8
    (:data:`~evitsam_ros.bundle.FOVEAL_STRIDES`). It returns ``foveal_masks (B, 3, 16 * K)``, for each cell
    its 16 logits, 4 x 4 over the cell's area, as :meth:`~.mask_decoder.MaskDecoder.upscaled_rows` orders
    them, and ``iou_predictions (B, 3)``. It takes no mask prompt and adds no box prior. A model with
    high-resolution features takes them too, ``(1, 32, 4h, 4w)`` and ``(1, 64, 2h, 2w)``.
    """

    position: Tensor
    areas: Tensor

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam
        height, width = sam.prompt_encoder.embedding_size
        grid = sam.prompt_encoder.pe_layer.grid
        self.strides = [stride for stride in FOVEAL_STRIDES if min(height, width) >= stride]
        position = torch.cat([flatten_image(grid(height // s, width // s)) for s in self.strides], dim=1)
        position = position.to(sam.prompt_encoder.no_mask_embed.weight.dtype)
        self.register_buffer("position", position, persistent=False)
        shares = [(s * s / (height * width), (height // s) * (width // s)) for s in self.strides]
        areas = torch.cat([torch.full((count,), share) for share, count in shares])
        self.register_buffer("areas", areas, persistent=False)

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        cells: Tensor,
        *high_res: Tensor,
    ) -> tuple[Tensor, Tensor]:
        encoder, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        first, second = cast("Iterable[TwoWayBlock]", decoder.transformer.layers)
        prompt = encoder.embed_points(point_coords, point_labels)
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        # Broadcasting by adding zero: expand() would need the batch as a shape tensor.
        token_pe = torch.cat([output + prompt[:, :1] * 0, prompt], dim=1)

        levels = self._levels(image_embeddings + encoder.no_mask_embed.weight.reshape(1, -1, 1, 1))
        image, every = levels[0], torch.cat(levels, dim=1)
        placed = image + self.position[:, : image.shape[1]]
        tokens = tokens_after(first, token_pe, token_pe, placed, image, PlainAttention)
        image, position = every[0][cells], self.position[0][cells]
        image = image_after(first, tokens, token_pe, image + position, image, FoldedAttention)
        placed = image + position
        tokens = tokens_after(second, tokens, token_pe, placed, image, FoldedAttention)
        image = image_after(second, tokens, token_pe, placed, image, FoldedAttention)
        tokens = final_tokens(decoder.transformer, tokens, token_pe, image + position, image, FoldedAttention)
        upscaled = decoder.upscaled_rows(image, self._high_res_of(cells, high_res))
        masks = three_masks(decoder, tokens) @ upscaled.transpose(1, 2)
        iou = decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
        areas = None if self.sam.spec.rates_itself else self.areas[cells]
        return masks, self.sam.rate(masks, iou, areas)

    def _levels(self, image: Tensor) -> list[Tensor]:
        """Rows of cells ``(1, h / s * w / s, C)`` of every stride s."""
        return [
            flatten_image(F.avg_pool2d(image, stride) if stride > 1 else image) for stride in self.strides
        ]

    def _high_res_of(self, cells: Tensor, high_res: tuple[Tensor, ...]) -> list[Tensor]:
        """The high-resolution features of ``cells (B, K)``: ``(B, 16 * K, 32)`` and ``(B, 4 * K, 64)``.

        A coarser cell has the means over its area, as it has of the embedding.
        """
        height, width = self.sam.prompt_encoder.embedding_size
        found = []
        for feature, halvings in zip(high_res, (2, 1), strict=False):
            channels, side, levels = int(feature.shape[1]), 2**halvings, []
            for stride in self.strides:
                # Cells that are cut off at the end of a coarse level are not numbered.
                level = feature[:, :, : height // stride * side, : width // stride * side]
                levels.append(reshape(cell_rows(level, halvings), 0, -1, side * side * channels))
                feature = F.avg_pool2d(feature, 2)
            found.append(reshape(torch.cat(levels, dim=1)[0][cells], 0, -1, channels))
        return found
