# SPDX-License-Identifier: Apache-2.0
"""Distil a promptable model: its embedding, and its masks of the same prompts.

Human masks identify the object; a teacher's logits add the uncertainty of each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .inputs import resized
from .teachers import ModelTeacher, normalised

if TYPE_CHECKING:
    from .dataset import Batch
    from .prompting import PromptSet
    from .recipe import Teacher


@dataclass(frozen=True)
class TeacherOutput:
    """Hold a teacher's encoding of a batch: embeddings ``(B, 256, h, w)`` and high-resolution features."""

    embedding: Tensor
    high_res: tuple[Tensor, ...]


class MaskTeacher(ModelTeacher):
    """Use a model of the registry with a checkpoint as the teacher of another promptable model."""

    def __init__(self, options: Teacher) -> None:
        if options.kind != "model" or options.model is None:
            raise ValueError(f"a teacher of masks is of the kind 'model' with a name, not {options.kind!r}")
        super().__init__(options.model, Path(options.path))
        self.options = options

    @torch.no_grad()
    def encode(self, batch: Batch) -> TeacherOutput:
        """Encode the views of a batch."""
        side = min(batch.image.shape[1], self.model.spec.image_size)
        return TeacherOutput(*self.model.embed(normalised(batch, self.mean, self.std, side)))

    def embedding_loss(self, teacher_output: TeacherOutput, embedding: Tensor) -> Tensor:
        """Compute the mean squared distance of a student's ``(B, 256, h, w)`` to the teacher's, ``()``
        float32.
        """
        return F.mse_loss(embedding.float(), resized(teacher_output.embedding.float(), embedding.shape[-1]))

    def mask_loss(
        self, teacher_output: TeacherOutput, prompts: PromptSet, view: int, logits: Tensor
    ) -> Tensor:
        """Compute the cross entropy of a student's three masks with the teacher's probabilities, token by
        token.

        Args:
            teacher_output: encoding of the batch with the prompts' images, in order.
            prompts: ``B`` prompts in pixels of the view.
            view: side of the view in pixels.
            logits: the student's ``(B, 3, h, w)``.

        Returns:
            ``()`` float32.
        """
        with torch.no_grad():
            model, embedding = self.model, teacher_output.embedding
            model.prompt_encoder.embedding_size = embedding.shape[-2], embedding.shape[-1]
            per_prompt = embedding.repeat_interleave(len(logits) // len(embedding), 0)
            coords, labels = prompts.in_frame(model.spec.prompt_size / view)
            cells = 4 * embedding.shape[-1]
            no_mask = embedding.new_zeros(1, 1, cells, cells), embedding.new_zeros(1)
            teacher_logits, _ = model.decode(per_prompt, coords, labels, *no_mask, teacher_output.high_res)
            target = torch.sigmoid(resized(teacher_logits[:, 1:].float(), logits.shape[-1]))
        return F.binary_cross_entropy_with_logits(logits, target)
