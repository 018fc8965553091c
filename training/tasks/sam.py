# SPDX-License-Identifier: Apache-2.0
"""Train EfficientViT-SAM end to end (section 3.2): a box or points in, three masks out; the best one is
trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..empty_images import replace_views
from ..feature_teacher import FeatureHead, FeatureTeacher
from ..inputs import resized
from ..losses import MaskLossWeights, has_pixel, mask_loss
from ..mask_teacher import MaskTeacher, TeacherOutput
from ..prompting import (
    PromptSet,
    box_prompts,
    click_at_error,
    no_prompts,
    outside_boxes,
    point_in_box_prompts,
    point_prompts,
)
from .base import Task

if TYPE_CHECKING:
    from evitsam_ros.models.sam import Sam

    from ..dataset import Batch
    from ..recipe import Recipe


@dataclass(frozen=True)
class Encoded:
    """Hold a batch's embeddings ``(B, 256, h, w)``, high-resolution features, and the teacher's encoding."""

    embedding: Tensor
    high_res: tuple[Tensor, ...]
    teacher_output: TeacherOutput | None = None


class SamTask(Task):
    """Train encoder and heads with boxes and points."""

    def __init__(self, model: Sam, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        self.feature_teacher = self.feature_head = None
        if recipe.features.weight:
            self.feature_teacher, self.feature_head = FeatureTeacher(), FeatureHead()
        self.mask_teacher = MaskTeacher(recipe.teacher) if recipe.teacher else None

    def forward(self, batch: Batch, step: int, rank: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, ``()`` float32, and numbers to log; see :class:`.base.Task`."""
        batch = self.with_empty_images(batch, step, rank)
        return self.losses_of(self.encode(batch), batch, step, rank)

    def with_empty_images(self, batch: Batch, step: int, rank: int) -> Batch:
        """Replace the recipe's share of the views by images without objects."""
        return replace_views(batch, self.recipe.data.empty, self.generator(step, rank, 5))

    def losses_of(
        self, encoded: Encoded, batch: Batch, step: int, rank: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the losses of masks and teachers, and numbers to log."""
        loss, numbers = self.mask_losses(encoded, batch, step, rank)
        for part, more in (self.embedding_loss(encoded), self.feature_loss(encoded.embedding, batch)):
            loss, numbers = loss + part, numbers | more
        return loss, numbers

    def encode(self, batch: Batch) -> Encoded:
        """Encode a batch by student and teacher."""
        teacher_output = self.mask_teacher.encode(batch) if self.mask_teacher is not None else None
        return Encoded(*self.embed(batch), teacher_output)

    def embedding_loss(self, encoded: Encoded) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the distance to the embedding of the recipe's teacher; 0 without one."""
        if encoded.teacher_output is None or self.mask_teacher is None:
            return encoded.embedding.new_zeros(()), {}
        distance = self.mask_teacher.embedding_loss(encoded.teacher_output, encoded.embedding)
        return self.mask_teacher.options.embedding_weight * distance, {"distance": distance}

    def feature_loss(self, embedding: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the distance of the predicted classifier features; 0 without such a teacher."""
        if self.feature_teacher is None or self.feature_head is None or self.heads_only:
            return embedding.new_zeros(()), {}
        target = self.feature_teacher(self.normalised(batch))
        cells = target.shape[-1]
        valid = batch.valid * cells // batch.image.shape[1]
        distance = self.feature_head.loss(resized(embedding, cells), target, valid)
        return self.recipe.features.weight * distance, {"features": distance}

    def mask_losses(
        self, encoded: Encoded, batch: Batch, step: int, rank: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss over boxes and points, weighted by their shares, and the IoU of the first-ranked
        masks.
        """
        options = self.recipe.prompts
        masks = batch.boxes.shape[1]
        boxes = round(options.boxes * masks)
        if not options.boxes_and_points:
            chance = torch.rand((), generator=self.generator(step, rank, 0)).item()
            boxes = masks if chance < options.boxes else 0
        loss, numbers = encoded.embedding.new_zeros(()), {}
        for kind, part in (("box", slice(0, boxes)), (self._point_kind(step), slice(boxes, masks))):
            if part.start == part.stop:
                continue
            part_loss, iou = self._prompted(encoded, batch, part, kind, step, rank)
            loss = loss + part_loss * (part.stop - part.start) / masks
            if len(iou):
                numbers["iou " + kind] = iou.mean()
        return loss, numbers

    def _point_kind(self, step: int) -> str:
        """Return the kind of point prompts: with AutoPPN, every fourth step has points with their boxes."""
        return "point in box" if self.model.auto_ppn is not None and step % 4 == 3 else "point"

    def _prompted(
        self, encoded: Encoded, batch: Batch, part: slice, kind: str, step: int, rank: int
    ) -> tuple[Tensor, Tensor]:
        """Compute the mean loss over the rounds, and the ``(N,)`` IoU of the prompts that have a mask."""
        truth, embedding = batch.coverage[:, part].flatten(0, 1), encoded.embedding
        prompts = self._first_prompts(batch, part, kind, step, rank)
        self.model.prompt_encoder.embedding_size = embedding.shape[-2], embedding.shape[-1]
        per_prompt = embedding.repeat_interleave(len(truth) // len(embedding), 0)
        cells = truth.shape[-1]
        mask, has_mask = truth.new_zeros(1, 1, cells, cells), truth.new_zeros(1)
        weights = self.mask_weights()
        outside = None
        if kind != "point":
            boxes = batch.boxes[:, part].flatten(0, 1)
            outside = outside_boxes(boxes, cells, batch.image.shape[1])
        certain = torch.full((len(truth),), kind != "point" and self.recipe.losses.boxes_train_all_masks)
        chances = torch.rand(2, generator=self.generator(step, rank, 7)).tolist()
        rounds, feeds_back = self.recipe.prompts.rounds, chances[0] < self.recipe.prompts.mask_feedback
        mask_only = feeds_back and chances[1] < self.recipe.prompts.mask_only
        total, last = embedding.new_zeros(()), mask
        for turn in range(rounds):
            if turn and turn + 1 == rounds and mask_only:
                prompts = no_prompts(prompts)
            elif turn:
                generator = self.generator(step, rank, 4 + turn % 4)
                prompts = click_at_error(prompts, last[:, 0], truth, generator, batch.image.shape[1])
            coords, labels = prompts.in_frame(batch.prompt_scale)
            logits, iou = self.model.decode(per_prompt, coords, labels, mask, has_mask, encoded.high_res)
            logits, iou = logits[:, 1:].float(), iou[:, 1:].float()
            loss, ranked = mask_loss(logits, iou, truth, certain.to(truth.device), weights, outside)
            if encoded.teacher_output is not None and self.mask_teacher is not None and turn == 0:
                view = batch.image.shape[1]
                taught = self.mask_teacher.mask_loss(encoded.teacher_output, prompts, view, logits)
                loss = loss + self.mask_teacher.options.masks_weight * taught
            total = total + loss
            best = iou.detach().argmax(1)
            last = logits.detach()[torch.arange(len(best)), best][:, None]
            if feeds_back:
                mask, has_mask = last, truth.new_ones(len(best))
        return total / rounds, ranked[has_pixel(truth)]

    def _first_prompts(self, batch: Batch, part: slice, kind: str, step: int, rank: int) -> PromptSet:
        options = self.recipe.prompts
        boxes, points = batch.boxes[:, part].flatten(0, 1), batch.points[:, part].flatten(0, 1)
        # Annotators draw exact boxes, which metrics use too; detectors return inexact ones.
        jitter = batch.jitter * (step % 2)
        if kind == "box":
            return box_prompts(boxes, jitter, self.generator(step, rank, 1))
        if kind == "point in box":
            return point_in_box_prompts(points, boxes, 2 * jitter, self.generator(step, rank, 2))
        if options.boxes_and_points and step % 2 == 0:
            return point_prompts(points, 1)  # one click is the most frequent prompt
        count = torch.randint(1, options.max_points + 1, (), generator=self.generator(step, rank, 2))
        return point_prompts(points, int(count))

    def mask_weights(self) -> MaskLossWeights:
        """Return the weights of the mask loss from the recipe."""
        losses = self.recipe.losses
        return MaskLossWeights(
            pixel=losses.pixel,
            pixel_weight=losses.pixel_weight,
            dice_weight=losses.dice_weight,
            iou_weight=losses.iou_weight,
            outside_weight=losses.outside_weight,
            other_masks=losses.other_masks,
            rank_weight=losses.rank_weight,
        )
