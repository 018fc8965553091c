# SPDX-License-Identifier: Apache-2.0
"""Rewrite the prompt encoder and mask decoder for deployment: the same function, less work per prompt.

Both rewrites are exact:

* ``shared``: the keys, values and queries of the first block, which depend on the image only, are computed
once and broadcast over the prompts. There is no repeat or tile, so no shape tensor reaches the graph. *
``folded``: further image-side projections are applied to the few tokens instead of the thousands of image
positions: ``(W_q t) . (W_k x) = (W_k^T W_q t) . x`` and ``W_v (sum a x) = sum a (W_v x)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from .static_reshape import reshape
from .two_way_transformer import Attention, TwoWayBlock, TwoWayTransformer, flatten_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .mask_decoder import MaskDecoder
    from .sam import Sam

Form = Literal["plain", "shared", "folded"]
FORMS: tuple[Form, ...] = ("plain", "shared", "folded")
#: How tokens and image attend to each other.
CrossAttention: TypeAlias = "type[PlainAttention] | type[FoldedAttention]"


class DeployedDecoder(nn.Module):
    """Prompts in, three masks each out; the interface of ``decoder.onnx``.

    ``forward`` takes ``image_embeddings (1, 256, h, w)``, ``point_coords (B, N, 2)`` pixels of the prompt
    frame, ``point_labels (B, N)`` (-1 padding, 0 background, 1 foreground, 2 and 3 box corners), ``mask_input
    (M, 1, 4h, 4w)`` low-res logits and ``has_mask_input (M,)`` 0 or 1, all float32. M is B, or 1 for all
    prompts alike, which allows the image-side work to be shared. A model with high-resolution features takes
    them too, ``(1, 32, 4h, 4w)`` and ``(1, 64, 2h, 2w)``. It returns ``low_res_masks (B, 3, 4h, 4w)`` and
    ``iou_predictions (B, 3)``, SAM's output tokens 1 to 3: the ones that EfficientViT-SAM trains.
    """

    position: Tensor

    def __init__(self, sam: Sam, form: Form = "folded") -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"decoder form {form!r} is unknown; expected one of {FORMS}")
        self.sam = sam
        self.form = form
        self.register_buffer("position", flatten_image(sam.prompt_encoder.dense_position()), persistent=False)

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
        *high_res: Tensor,
    ) -> tuple[Tensor, Tensor]:
        encoder, decoder = self.sam.prompt_encoder, self.sam.mask_decoder
        tokens = encoder.embed_points(point_coords, point_labels)
        dense = encoder.embed_masks(mask_input, has_mask_input)
        if self.form == "plain":
            image_pe = encoder.dense_position()
            masks, iou = decoder(image_embeddings, image_pe, tokens, dense, high_res)
            masks = self.sam.add_prior(masks[:, 1:], point_coords, point_labels)
            return masks, self.sam.rate(masks, iou[:, 1:])
        source = flatten_image(image_embeddings + dense)
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])[None]
        # Broadcasting by adding zero: expand() would need the batch as a shape tensor.
        output = output + tokens[:, :1] * 0
        tokens, source = self._transform(torch.cat([output, tokens], dim=1), source)
        masks, iou = self._masks(tokens, source, high_res)
        masks = self.sam.add_prior(masks, point_coords, point_labels)
        return masks, self.sam.rate(masks, iou)

    def _transform(self, tokens: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        transformer = self.sam.mask_decoder.transformer
        attend: CrossAttention = FoldedAttention if self.form == "folded" else PlainAttention
        token_pe, position = tokens, self.position
        for index, layer in enumerate(cast("Iterable[TwoWayBlock]", transformer.layers)):
            # In the first block the image has one row for all prompts: its projections are cheap already.
            look: CrossAttention = PlainAttention if index == 0 else attend
            placed = image + position
            tokens = tokens_after(layer, tokens, token_pe, placed, image, look)
            image = image_after(layer, tokens, token_pe, placed, image, look)
        return final_tokens(transformer, tokens, token_pe, image + position, image, attend), image

    def _masks(self, tokens: Tensor, source: Tensor, high_res: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        decoder = self.sam.mask_decoder
        height, width = self.sam.prompt_encoder.embedding_size
        upscaled = reshape(source.transpose(1, 2), 0, 0, height, width)
        if high_res:
            stride4, stride8 = high_res
            first, norm, activation, second, last = decoder.output_upscaling
            upscaled = last(second(activation(norm(first(upscaled) + stride8))) + stride4)
        else:
            upscaled = decoder.output_upscaling(upscaled)
        masks = reshape(
            three_masks(decoder, tokens) @ reshape(upscaled, 0, 0, -1), 0, 0, 4 * height, 4 * width
        )
        return masks, decoder.iou_prediction_head(tokens[:, 0])[:, 1:]


def three_masks(decoder: MaskDecoder, tokens: Tensor) -> Tensor:
    """``(B, 3, C / 8)``: how the channels of the upscaled embedding are weighed for masks 1 to 3."""
    mlps = list(decoder.output_hypernetworks_mlps)[1:]
    return torch.stack([mlp(tokens[:, 2 + i]) for i, mlp in enumerate(mlps)], dim=1)


def tokens_after(
    layer: TwoWayBlock, tokens: Tensor, token_pe: Tensor, placed: Tensor, image: Tensor, look: CrossAttention
) -> Tensor:
    """The block's first half: the tokens look at each other and at the image; ``placed`` has positions."""
    tokens = layer.attend_self(tokens, token_pe)
    tokens = layer.norm2(
        tokens + look.to_image(layer.cross_attn_token_to_image, tokens + token_pe, placed, image)
    )
    return layer.norm3(tokens + layer.mlp(tokens))


def image_after(
    layer: TwoWayBlock, tokens: Tensor, token_pe: Tensor, placed: Tensor, image: Tensor, look: CrossAttention
) -> Tensor:
    """The block's second half: the image looks at the tokens."""
    update = look.to_tokens(layer.cross_attn_image_to_token, placed, tokens + token_pe, tokens)
    return layer.norm4(image + update)


def final_tokens(
    transformer: TwoWayTransformer,
    tokens: Tensor,
    token_pe: Tensor,
    placed: Tensor,
    image: Tensor,
    look: CrossAttention,
) -> Tensor:
    """The last look of the tokens at the image."""
    update = look.to_image(transformer.final_attn_token_to_image, tokens + token_pe, placed, image)
    return transformer.norm_final_attn(tokens + update)


class PlainAttention:
    """Cross attention as written in the paper; rows of one broadcast over the prompts."""

    @staticmethod
    def to_image(attention: Attention, query: Tensor, placed: Tensor, image: Tensor) -> Tensor:
        return attention(query, placed, image)

    @staticmethod
    def to_tokens(attention: Attention, placed: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attention(placed, key, value)


class FoldedAttention:
    """Cross attention with the image-side projections folded onto the tokens."""

    @staticmethod
    def to_image(attention: Attention, query: Tensor, placed: Tensor, image: Tensor) -> Tensor:
        """``query (B, T, C)``, ``placed`` and ``image (B, P, C)`` -> ``(B, T, C)``.

        The key's bias adds the same to every position of a row, which the softmax cancels.
        """
        heads, width = attention.heads, attention.inner // attention.heads
        q = attention.split(attention.q_proj(query)) * attention.scale
        keys = attention.k_proj.weight.reshape(heads, width, -1)
        reach = reshape(q @ keys, 0, -1, attention.out_proj.out_features)  # (B, heads * T, C)
        weights = torch.softmax(reach @ placed.transpose(1, 2), dim=-1)
        seen = reshape(weights @ image, 0, heads, -1, attention.out_proj.out_features)
        values = attention.v_proj.weight.reshape(heads, width, -1).transpose(1, 2)
        return attention.out_proj(attention.merge(seen @ values) + attention.v_proj.bias)

    @staticmethod
    def to_tokens(attention: Attention, placed: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """``placed (B, P, C)``, ``key`` and ``value (B, T, C)`` -> ``(B, P, C)``."""
        heads, width = attention.heads, attention.inner // attention.heads
        k = attention.split(attention.k_proj(key)) * attention.scale
        queries = attention.q_proj.weight.reshape(heads, width, -1)
        bias = (k @ attention.q_proj.bias.reshape(heads, width, 1)).transpose(2, 3)
        reach = reshape(k @ queries, 0, -1, attention.out_proj.out_features).transpose(
            1, 2
        )  # (B, C, heads * T)
        scores = reshape(placed @ reach, 0, 0, heads, -1) + bias.transpose(1, 2)
        weights = reshape(torch.softmax(scores, dim=-1), 0, 0, -1)
        v = attention.split(attention.v_proj(value))
        outputs = attention.out_proj.weight.t().reshape(heads, width, -1)
        return (
            weights @ reshape(v @ outputs, 0, -1, attention.out_proj.out_features) + attention.out_proj.bias
        )
