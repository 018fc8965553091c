# SPDX-License-Identifier: Apache-2.0
"""The mask decoder for prompts that know where their object is: it looks closely at their region only.

In everything mode most boxes are small, and the decoder would spend its time on positions of the image where
the mask cannot be. Here the tokens look at the whole image once, in the first block, whose image side is the
same for all prompts; from there on a prompt has the embedding's cells of its own region alone. With all cells
it is the decoder itself; with fewer it is an approximation (README, "Design").
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .decoder_rewrites import (
    FoldedAttention,
    PlainAttention,
    final_tokens,
    image_after,
    three_masks,
    tokens_after,
)
from .sam import Sam
from .two_way_transformer import flatten_image


class RegionDecoder(nn.Module):
    """The interface of ``region_decoder.onnx``.

    ``forward`` takes ``image_embeddings (1, 256, h, w)``, ``point_coords (B, N, 2)`` and ``point_labels
    (B, N)`` as the decoder does, and ``cells (B, K)`` int32: each prompt's cells of the embedding, numbered
    row by row from 0. It returns ``region_masks (B, 3, 16 * K)``, for each cell its 16 low-res logits as
    :meth:`~.mask_decoder.MaskDecoder.upscaled_rows` orders them, and ``iou_predictions (B, 3)``. It takes no
    mask prompt and adds no box prior.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.sam = sam
        self.register_buffer("position", flatten_image(sam.prompt_encoder.dense_position()), persistent=False)

    def forward(
        self, image_embeddings: Tensor, point_coords: Tensor, point_labels: Tensor, cells: Tensor
    ) -> tuple[Tensor, Tensor]:
        encoder, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        first, second = decoder.transformer.layers
        prompt = encoder.embed_points(point_coords, point_labels)
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        # Broadcasting by adding zero: expand() would need the batch as a shape tensor.
        token_pe = torch.cat([output + prompt[:, :1] * 0, prompt], dim=1)

        image = flatten_image(image_embeddings + encoder.no_mask_embed.weight.reshape(1, -1, 1, 1))
        placed = image + self.position
        tokens = tokens_after(first, token_pe, token_pe, placed, image, PlainAttention)
        image, position = image[0][cells], self.position[0][cells]
        image = image_after(first, tokens, token_pe, image + position, image, FoldedAttention)
        placed = image + position
        tokens = tokens_after(second, tokens, token_pe, placed, image, FoldedAttention)
        image = image_after(second, tokens, token_pe, placed, image, FoldedAttention)
        tokens = final_tokens(decoder.transformer, tokens, token_pe, image + position, image, FoldedAttention)
        masks = three_masks(decoder, tokens) @ decoder.upscaled_rows(image).transpose(1, 2)
        return masks, decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
