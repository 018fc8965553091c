# SPDX-License-Identifier: Apache-2.0
"""SAM's mask decoder ("Segment Anything", appendix A). Keys as in the official checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import NORM_EPS, LayerNorm2d, Mlp, bias_of
from .static_reshape import reshape
from .two_way_transformer import TwoWayTransformer, flatten_image

if TYPE_CHECKING:
    from collections.abc import Sequence


class MaskDecoder(nn.Module):
    """Four masks a prompt: token 0 the single mask, tokens 1 to 3 the three levels of ambiguity.

    ``mlp`` is the hidden width of the transformer's MLP: 2048 in SAM, 1024 in the slim decoder that the
    4.2 M parameters of Lite-SAM imply. ``eps`` is that of the transformer's layer norms.
    """

    def __init__(self, width: int = 256, mlp: int = 2048, eps: float = NORM_EPS) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, mlp=mlp, eps=eps)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(4, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Mlp(width, width, width // 8, 3) for _ in range(4))
        self.iou_prediction_head = Mlp(width, 256, 4, 3)

    def tokens(self, prompt_tokens: Tensor) -> Tensor:
        """Put the output tokens before the prompt's: ``(B, N, C)`` -> ``(B, 5 + N, C)``."""
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight]).to(prompt_tokens.dtype)
        return torch.cat([output[None].expand(prompt_tokens.shape[0], -1, -1), prompt_tokens], dim=1)

    def forward(
        self,
        image: Tensor,
        image_pe: Tensor,
        prompt_tokens: Tensor,
        dense: Tensor,
        high_res: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor]:
        """Decode ``B`` prompts.

        Args:
            image: embedding, ``(B, 256, h, w)`` or ``(1, 256, h, w)``.
            image_pe: position embedding of the grid, ``(1, 256, h, w)``.
            prompt_tokens: ``(B, N, 256)``.
            dense: embedding of the mask prompt, ``(B or 1, 256, h, w)``.
            high_res: high-resolution features ``(I, C / 8, 4h, 4w)`` and ``(I, C / 4, 2h, 2w)``, or none.
                Each image's ``B / I`` prompts follow one another.

        Returns:
            Low-res logits ``(B, 4, 4h, 4w)`` and predicted IoU ``(B, 4)``.
        """
        tokens = self.tokens(prompt_tokens)
        source = flatten_image(image + dense).expand(tokens.shape[0], -1, -1)
        tokens, source = self.transformer(tokens, source, flatten_image(image_pe))
        weights = torch.stack(
            [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        height, width = image.shape[-2:]
        masks = self.draw(source, weights, height, width, high_res_rows(high_res))
        return masks, self.iou_prediction_head(tokens[:, 0])

    def draw(
        self, source: Tensor, weights: Tensor, height: int, width: int, high_res: Sequence[Tensor] = ()
    ) -> Tensor:
        """Upscale ``source (B, h * w, C)`` and weigh it: ``weights (B, M, C / 8)`` -> ``(B, M, 4h, 4w)``."""
        logits = self.upscaled_rows(source, high_res) @ weights.transpose(1, 2)
        logits = logits.unflatten(1, (height, width, 2, 2, 2, 2)).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return logits.reshape(*weights.shape[:2], 4 * height, 4 * width)

    def upscaled_rows(self, source: Tensor, high_res: Sequence[Tensor] = ()) -> Tensor:
        """Cells ``(B, P, C)`` -> ``(B, 16 * P, C / 8)``: for each its 16 finer cells, y, x, then y, x within.

        A transposed convolution with a stride equal to its kernel is a linear layer from one cell to 2 x 2.
        So features stay in rows of channels, and only the few masks are reordered to images. ``high_res`` are
        the features of :func:`high_res_rows` for these cells, stride 4 first, or none; SAM 2 adds them after
        each transposed convolution.
        """
        first, norm, _, second, _ = self.output_upscaling
        stride4, stride8 = high_res or (None, None)
        x = _added(_cells(first, source), stride8)
        x = cast("LayerNorm2d", norm).rows(x)
        return F.gelu(_added(_cells(second, F.gelu(x)), stride4))


def high_res_rows(high_res: Sequence[Tensor]) -> list[Tensor]:
    """High-resolution maps, strides 4 and 8, as :meth:`MaskDecoder.upscaled_rows` takes them."""
    return [cell_rows(feature, halvings) for feature, halvings in zip(high_res, (2, 1), strict=False)]


def cell_rows(feature: Tensor, halvings: int) -> Tensor:
    """``(I, C, s * h, s * w)`` with s = 2 ** halvings -> ``(I, s * s * h * w, C)``.

    The rows go by cell of the embedding, then y, x of its quarters, then y, x within these.
    """
    channels, side = int(feature.shape[1]), 2**halvings
    height, width = (int(length) // side for length in feature.shape[2:])
    x = reshape(feature, 0, channels, height, *(2,) * halvings, width, *(2,) * halvings)
    axes = [2, 3 + halvings, *(axis for i in range(halvings) for axis in (3 + i, 4 + halvings + i)), 1]
    return reshape(x.permute(0, *axes), 0, -1, channels)


def _added(x: Tensor, feature: Tensor | None) -> Tensor:
    """``x (B, P, C)`` plus the feature ``(I, P, C)`` of each prompt's image."""
    if feature is None:
        return x
    if len(feature) in (1, len(x)):
        return x + feature
    return (x.unflatten(0, (len(feature), -1)) + feature[:, None]).flatten(0, 1)


def _cells(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a 2 x 2 ``ConvTranspose2d`` of stride 2 to rows.

    Returns:
        ``(B, 4 * P, C')`` for ``(B, P, C)``; the cells go by y, then x.
    """
    conv = cast("nn.ConvTranspose2d", layer)
    weight = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = torch.cat([bias_of(conv)] * 4)  # repeat() would leave a Tile in the graph
    return reshape(F.linear(x, weight, bias), 0, -1, conv.out_channels)
