# SPDX-License-Identifier: Apache-2.0
"""Define the base of all tasks: a model, its trained part, and the loss of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from evitsam_ros.models.backbone_encoder import BackboneEncoder
from evitsam_ros.models.lite_vit import LiteViT

from ..inputs import channels_last, normalise

if TYPE_CHECKING:
    from evitsam_ros.models.auto_ppn import AutoPPN
    from evitsam_ros.models.efficientvit.build import AnyNetwork
    from evitsam_ros.models.sam import Sam

    from ..dataset import Batch
    from ..recipe import Recipe, Stage


class Task(nn.Module):
    """Compute a loss: ``task(batch, step, rank)`` returns the loss, ``()`` float32, and numbers to log, each
    ``()``.

    All randomness of a step is a function of the recipe's seed, the step and the rank: a resumed run draws
    the same numbers as an uninterrupted one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: Sam | AnyNetwork, recipe: Recipe) -> None:
        super().__init__()
        # Tasks without prompts have another network, and use only members that it has too.
        self.model = cast("Sam", model)
        self.recipe = recipe
        self.heads_only = False
        self.first_stage: nn.Module | None = None
        for name, value in (("mean", model.spec.mean), ("std", model.spec.std)):
            self.register_buffer(name, torch.tensor(value) * 255, persistent=False)

    def forward(self, batch: Any, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch of the task's feed and numbers to log, see the class."""
        raise NotImplementedError

    def freeze_parts(self, stage: Stage) -> None:
        """Freeze the parts of the model that a stage does not train, batch statistics included; unfreeze the
        others.
        """
        self.heads_only = stage.heads_only
        for part in (self.model.image_encoder, self.model.auto_ppn):
            if part is not None:
                part.requires_grad_(not stage.heads_only)
        encoder = self.model.image_encoder
        if isinstance(encoder, BackboneEncoder) and not stage.heads_only:
            encoder.backbone.freeze_(stage.freeze_backbone_stride, stage.freeze_depthwise)
        self.first_stage = None
        if stage.freeze_first_stage:
            if not isinstance(encoder, LiteViT):
                raise ValueError(f"freeze_first_stage is for LiteViT, not for {self.recipe.model}")
            encoder.merges[0].requires_grad_(False)
            encoder.stages[0].requires_grad_(False)
            self.first_stage = channels_last(encoder.folded_first_stage())

    def train(self, mode: bool = True) -> Task:  # noqa: FBT001, FBT002 (torch's signature)
        """Set training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        if self.heads_only:
            self.model.image_encoder.eval()
            if self.model.auto_ppn is not None:
                self.model.auto_ppn.eval()
        return self

    def embed(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the image embedding, ``(B, 256, h, w)``, and high-resolution features, as ``Sam.embed``."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.heads_only):
            if self.first_stage is None or not self.training:
                return self.model.embed(self.normalised(batch))
            with torch.no_grad():
                fixed = self.first_stage(self.normalised(batch))
            return cast("LiteViT", self.model.image_encoder).after_first_stage(fixed), ()

    @property
    def auto_ppn(self) -> AutoPPN:
        """Return the model's proposal network.

        Raises:
            ValueError: The model has none.
        """
        if self.model.auto_ppn is None:
            raise ValueError(f"the task {self.recipe.task!r} needs a model with AutoPPN; this one has none")
        return self.model.auto_ppn

    def normalised(self, batch: Batch) -> Tensor:
        """Return the input of the model's encoder, ``(B, 3, S, S)`` float32."""
        return normalise(batch, self.mean, self.std)

    def generator(self, step: int, rank: int, purpose: int) -> torch.Generator:
        """Return the random generator of a step, a rank and a purpose."""
        seed = ((self.recipe.seed * 1_000_003 + step) * 1009 + rank) * 8 + purpose
        return torch.Generator().manual_seed(seed)
