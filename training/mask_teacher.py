# SPDX-License-Identifier: Apache-2.0
"""A promptable model that another one learns from: its embedding, and its masks of the same prompts.

Human masks say which object was meant; a teacher's logits also say how sure one can be of each cell.
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
class Lesson:
    """What a teacher sees of a batch: embeddings ``(B, 256, h, w)`` and high-resolution features."""

    embedding: Tensor
    high_res: tuple[Tensor, ...]


class MaskTeacher(ModelTeacher):
    """A model of the registry with a checkpoint, as the teacher of another promptable model."""

    def __init__(self, options: Teacher) -> None:
        if options.kind != "model" or options.model is None:
            raise ValueError(f"a teacher of masks is of the kind 'model' with a name, not {options.kind!r}")
        super().__init__(options.model, Path(options.path))
        self.options = options

    @torch.no_grad()
    def look(self, batch: Batch) -> Lesson:
        """Encode the views of a batch."""
        side = min(batch.image.shape[1], self.model.spec.image_size)
        return Lesson(*self.model.embed(normalised(batch, self.mean, self.std, side)))

    def embedding_loss(self, lesson: Lesson, embedding: Tensor) -> Tensor:
        """The mean squared distance of a student's ``(B, 256, h, w)`` to the teacher's, ``()`` float32."""
        return F.mse_loss(embedding.float(), resized(lesson.embedding.float(), embedding.shape[-1]))

    def mask_loss(self, lesson: Lesson, prompts: PromptSet, view: int, logits: Tensor) -> Tensor:
        """Cross entropy of a student's three masks with the teacher's probabilities, token by token.

        Args:
            lesson: of the batch whose images the prompts belong to, in order.
            prompts: ``B`` prompts in pixels of the view.
            view: side of the view in pixels.
            logits: the student's ``(B, 3, h, w)``.

        Returns:
            ``()`` float32.
        """
        with torch.no_grad():
            model, embedding = self.model, lesson.embedding
            model.prompt_encoder.embedding_size = embedding.shape[-2], embedding.shape[-1]
            per_prompt = embedding.repeat_interleave(len(logits) // len(embedding), 0)
            coords, labels = prompts.in_frame(model.spec.prompt_size / view)
            cells = 4 * embedding.shape[-1]
            nothing = embedding.new_zeros(1, 1, cells, cells), embedding.new_zeros(1)
            drawn, _ = model.decode(per_prompt, coords, labels, *nothing, lesson.high_res)
            wanted = torch.sigmoid(resized(drawn[:, 1:].float(), logits.shape[-1]))
        return F.binary_cross_entropy_with_logits(logits, wanted)
