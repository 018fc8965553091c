# SPDX-License-Identifier: Apache-2.0
"""SAM's mask decoder ("Segment Anything", appendix A). Keys as in the official checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import LayerNorm2d, Mlp
from .static_reshape import reshape
from .two_way_transformer import TwoWayTransformer, flatten_image


class MaskDecoder(nn.Module):
    """Four masks a prompt: token 0 the single mask, tokens 1 to 3 the three levels of ambiguity.

    ``mlp`` is the hidden width of the transformer's MLP: 2048 in SAM, 1024 in the slim decoder that the
    4.2 M parameters of Lite-SAM imply.
    """

    def __init__(self, width: int = 256, mlp: int = 2048) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, mlp=mlp)
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
        self, image: Tensor, image_pe: Tensor, prompt_tokens: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Decode ``B`` prompts.

        Args:
            image: embedding, ``(B, 256, h, w)`` or ``(1, 256, h, w)``.
            image_pe: position embedding of the grid, ``(1, 256, h, w)``.
            prompt_tokens: ``(B, N, 256)``.
            dense: embedding of the mask prompt, ``(B or 1, 256, h, w)``.

        Returns:
            Low-res logits ``(B, 4, 4h, 4w)`` and predicted IoU ``(B, 4)``.
        """
        tokens = self.tokens(prompt_tokens)
        source = flatten_image(image + dense).expand(tokens.shape[0], -1, -1)
        tokens, source = self.transformer(tokens, source, flatten_image(image_pe))
        weights = torch.stack(
            [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        masks = self.draw(source, weights, *image.shape[-2:])
        return masks, self.iou_prediction_head(tokens[:, 0])

    def draw(self, source: Tensor, weights: Tensor, height: int, width: int) -> Tensor:
        """Upscale ``source (B, h * w, C)`` and weigh it: ``weights (B, M, C / 8)`` -> ``(B, M, 4h, 4w)``."""
        logits = self.upscaled_rows(source) @ weights.transpose(1, 2)
        logits = logits.unflatten(1, (height, width, 2, 2, 2, 2)).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return logits.reshape(*weights.shape[:2], 4 * height, 4 * width)

    def upscaled_rows(self, source: Tensor) -> Tensor:
        """Cells ``(B, P, C)`` -> ``(B, 16 * P, C / 8)``: for each its 16 finer cells, y, x, then y, x within.

        A transposed convolution whose stride is its kernel is a linear layer that makes 2 x 2 cells of one.
        So everything stays in rows of channels, and only the few masks are brought into picture order.
        """
        first, norm, _, second, _ = self.output_upscaling
        x = F.layer_norm(_cells(first, source), norm.weight.shape, norm.weight, norm.bias, norm.eps)
        return F.gelu(_cells(second, F.gelu(x)))


def _cells(conv: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """A 2 x 2 transposed convolution of stride 2 on rows: ``(B, P, C)`` -> ``(B, 4 * P, C')``, cells y, x."""
    weight = conv.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias = torch.cat([conv.bias] * 4)  # repeat() would leave a Tile in the graph
    return reshape(F.linear(x, weight, bias), 0, -1, conv.out_channels)
