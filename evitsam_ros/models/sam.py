# SPDX-License-Identifier: Apache-2.0
"""Compose a model: an image encoder, SAM's heads and, if the model has it, AutoPPN."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from torch import Tensor, nn

from .box_prior import BoxPrior
from .mask_decoder import MaskDecoder
from .prompt_encoder import PromptEncoder
from .static_reshape import reshape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .auto_ppn import AutoPPN
    from .specs import ModelSpec

#: Less than the share of the image that one logit is.
SMALLEST = 1e-6


class Sam(nn.Module):
    """Promptable segmentation. The state dict has the keys of the official EfficientViT-SAM checkpoints.

    Attributes:
        image_encoder: ``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 256, h, w)``, and high-resolution
            features where the model has them, see :meth:`embed`.
        prompt_encoder, mask_decoder: SAM's heads.
        auto_ppn: prompt proposals from an embedding, or None.
        box_prior: the logits that a box starts from, or None.
        spec: the model's numbers.
    """

    def __init__(
        self,
        spec: ModelSpec,
        image_encoder: nn.Module,
        decoder_mlp: int = 2048,
        auto_ppn: AutoPPN | None = None,
        box_prior: bool = False,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.image_encoder = image_encoder
        self.prompt_encoder = PromptEncoder(spec.prompt_size, spec.embedding[1:])
        self.mask_decoder = MaskDecoder(mlp=decoder_mlp, eps=spec.decoder_eps)
        self.auto_ppn = auto_ppn
        self.box_prior = BoxPrior() if box_prior else None

    def embed(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Encode ``(B, 3, S, S)`` normalised float32 RGB.

        Returns:
            The embedding ``(B, 256, h, w)``; the high-resolution features ``(B, 32, 4h, 4w)`` and
            ``(B, 64, 2h, 2w)``, or none.
        """
        encoded = self.image_encoder(image)
        if isinstance(encoded, Tensor):
            return encoded, ()
        embedding, *high_res = encoded
        return embedding, tuple(high_res)

    def decode(
        self,
        embedding: Tensor,
        coords: Tensor,
        labels: Tensor,
        mask: Tensor,
        has_mask: Tensor,
        high_res: Sequence[Tensor] = (),
    ) -> tuple[Tensor, Tensor]:
        """Decode prompts of one image in the plain form.

        Args:
            embedding: ``(1, 256, h, w)``, or ``(B, 256, h, w)`` with one row per prompt.
            coords: ``(B, N, 2)`` pixels of the prompt frame.
            labels: ``(B, N)``; -1 padding, 0 background, 1 foreground, 2 and 3 box corners.
            mask: ``(M, 1, 4h, 4w)`` low-res logits with M = 1 or B.
            has_mask: ``(M,)`` 0 or 1.
            high_res: the high-resolution features of the images, in the order of the prompts.

        Returns:
            Low-res logits ``(B, 4, 4h, 4w)`` and predicted IoU ``(B, 4)``.
        """
        encoder = self.prompt_encoder
        # One type throughout: mixed precision would promote every sum with a parameter to float32.
        logits, iou = self.mask_decoder(
            embedding,
            encoder.dense_position().to(embedding.dtype),
            encoder.embed_points(coords, labels).to(embedding.dtype),
            encoder.embed_masks(mask, has_mask).to(embedding.dtype),
            high_res,
        )
        return self.add_prior(logits, coords, labels), iou

    def add_prior(self, logits: Tensor, coords: Tensor, labels: Tensor) -> Tensor:
        """``(B, M, 4h, 4w)`` logits of the last M output tokens, with the prior where the model has one."""
        if self.box_prior is None:
            return logits
        height, width = self.prompt_encoder.embedding_size
        # Corners are edges, not centres of pixels: without the half pixel that the prompt encoder adds.
        places = coords / self.prompt_encoder.prompt_size
        prior = self.box_prior(places, labels, (4 * height, 4 * width))
        return logits + prior[:, -int(logits.shape[1]) :]  # a plain integer: no shape tensor in the graph

    def rate(self, logits: Tensor, iou: Tensor, areas: Tensor | None = None) -> Tensor:
        """Rate masks for a robot: by predicted IoU, or by stability where the model does not predict it.

        Stability is the IoU between the masks cut at +1 and at -1, as SAM's mask generator has it.

        Args:
            logits: ``(B, M, ...)`` of the masks.
            iou: ``(B, M)`` predicted.
            areas: ``(B, K)`` image shares of the cells of logits ``(B, M, 16 * K)``; None: all cells have
                equal area.

        Returns:
            ``(B, M)`` in 0..1.
        """
        if self.spec.rates_itself:
            return iou
        # Shares of the image, not numbers of logits: these would leave the range of float16.
        inner, outer = ((logits > offset).to(iou.dtype) for offset in (1.0, -1.0))
        if areas is None:
            inner, outer = (part.mean(tuple(range(2, part.ndim))) for part in (inner, outer))
        else:
            inner, outer = (self._share(part, areas.to(iou.dtype)) for part in (inner, outer))
        return inner / outer.clamp(min=SMALLEST)

    @staticmethod
    def _share(inside: Tensor, areas: Tensor) -> Tensor:
        """``(B, M, 16 * K)`` 0 or 1 and ``(B, K)`` -> ``(B, M)``: the share of the image that is inside."""
        by_cell = reshape(inside, 0, 0, -1, 16).mean(3)
        return (by_cell @ areas[..., None])[..., 0]

    def deploy(self) -> Sam:
        """A copy with everything foldable folded: the same outputs in evaluation mode, fewer operations."""
        deployed = copy.deepcopy(self).eval()
        fold = getattr(deployed.image_encoder, "fold_", None)
        if callable(fold):
            fold()
        if deployed.auto_ppn is not None:
            deployed.auto_ppn.fold_()
        return deployed.requires_grad_(False)
