# SPDX-License-Identifier: Apache-2.0
"""Prompt once, keep the object: a prompt given on one frame follows its object from then on.

The prompt moves as the image under the object's mask moves. A mask that is not plausible (it jumped, changed
its size at once, has a far lower score than before, or looks different) is rejected. After some such frames
the object is lost; it is then found again by its appearance only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..deprecation import renamed_keywords
from ..segment import Embedding, Masks, Prompt, PromptError
from ..segment.iou import mask_iou
from .association import appearance_embeddings, is_similar
from .flow import Flow, FlowEstimator
from .prompt_motion import in_view, prompt_from_mask, resize_prompt, warp_prompt


@dataclass(frozen=True)
class PromptTrackOptions:
    """Which masks are plausible.

    Attributes:
        min_iou: min IoU of the last mask, moved with the image, and the new one.
        max_growth: max factor between the areas of the two.
        min_score_ratio: min predicted IoU, as a share of the object's running average.
        max_missed_frames: frames without a plausible mask after which the object is lost.
        min_appearance_similarity: min cosine of its appearance embeddings then and now, to be found again
            after a frame without a plausible mask.
        min_frame_similarity: the same from one frame to the next. The same object has mostly 0.9 and more,
            the background behind an object that left quickly 0.65 and less, with the default model.
    """

    min_iou: float = 0.4
    max_growth: float = 2.0
    min_score_ratio: float = 0.6
    max_missed_frames: int = 5
    min_appearance_similarity: float = 0.85
    min_frame_similarity: float = 0.7


PromptTrackOptions.__init__ = renamed_keywords(  # type: ignore[method-assign]
    overlap="min_iou",
    growth="max_growth",
    score="min_score_ratio",
    patience="max_missed_frames",
    likeness="min_appearance_similarity",
    still_alike="min_frame_similarity",
)(PromptTrackOptions.__init__)


@dataclass
class TrackedPrompt:
    """One object: its prompt on the last frame, its last mask, and running averages of it."""

    prompt: Prompt
    mask: np.ndarray | None = None
    appearance: np.ndarray | None = None
    score: float = 0.0
    missed: int = 0
    lost: bool = False


class PromptTracker:
    """Track the prompted objects of one camera. Not thread-safe."""

    def __init__(self, options: PromptTrackOptions | None = None) -> None:
        self.options = options or PromptTrackOptions()
        self.objects: dict[int, TrackedPrompt] = {}
        self._flow = FlowEstimator()
        self._size: tuple[int, int] | None = None

    def add(self, prompt: Prompt, identity: int) -> None:
        """Track the object that a prompt means on the next frame; it replaces the one of that id."""
        self.objects[identity] = TrackedPrompt(replace(prompt, object_id=identity))

    def remove(self, identity: int) -> bool:
        """Drop an object; return False if there is none of that id."""
        return self.objects.pop(identity, None) is not None

    def clear(self) -> None:
        """Drop all objects."""
        self.objects.clear()

    def pause(self) -> None:
        """Forget the last frame: on the next one objects are found by their appearance only."""
        self._flow.reset()

    @property
    def lost(self) -> list[int]:
        """Return the ids of the objects that are lost."""
        return [identity for identity, followed in self.objects.items() if followed.lost]

    def predict(self, image: np.ndarray, embedding: Embedding) -> None:
        """Move the prompts with the image; in one of another size they keep their relative place.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            embedding: of the image.
        """
        size, before = embedding.transform.size, self._size
        self._size = size
        if before is not None and before != size:
            for followed in self.objects.values():
                followed.prompt = resize_prompt(followed.prompt, before, size)
        flow = self._flow.update(image, embedding.transform)
        if flow is None:
            for followed in self.objects.values():
                followed.mask = None
            return
        for followed in self.objects.values():
            if followed.mask is not None and followed.mask.any():
                self._predict(followed, followed.mask, flow, embedding)

    def _predict(self, followed: TrackedPrompt, mask: np.ndarray, flow: Flow, embedding: Embedding) -> None:
        moved = flow.warp_masks(mask[None])[0]
        followed.prompt = warp_prompt(followed.prompt, flow.similarity(moved), embedding.transform)
        if moved.any():
            followed.mask = moved

    def prompts(self, embedding: Embedding) -> list[Prompt]:
        """Return the prompts to decode on this frame; those out of view are not among them."""
        usable = []
        for followed in self.objects.values():
            try:
                usable.append(in_view(followed.prompt, embedding.transform.size))
            except PromptError:
                self._miss(followed)
        return usable

    def update(self, embedding: Embedding, masks: Masks) -> Masks:
        """Return the plausible masks.

        Args:
            embedding: of the frame, as given to :meth:`predict`.
            masks: decoded from :meth:`prompts`, one each.
        """
        found = masks.unpadded_logits > 0
        data, sides = np.asarray(embedding.data.image_embeddings), embedding.transform.mask_size
        looks = appearance_embeddings(data, found, (sides[0] / data.shape[2], sides[1] / data.shape[3]))
        fitting = []
        for index, identity in enumerate(masks.object_ids.tolist()):
            followed = self.objects[identity]
            if self._is_plausible(followed, found[index], looks[index], float(masks.scores[index])):
                self._accept(followed, masks, index, looks[index], embedding)
                fitting.append(index)
            else:
                self._miss(followed)
        return masks.select(np.array(fitting, int))

    def _is_plausible(
        self, followed: TrackedPrompt, mask: np.ndarray, look: np.ndarray, score: float
    ) -> bool:
        options = self.options
        if not mask.any():
            return False
        if followed.appearance is None:  # the first mask is the user's own choice
            return True
        if score < options.min_score_ratio * followed.score:
            return False
        before = None if followed.lost else followed.mask
        # After a frame without a plausible mask the background in its place is as likely as the object.
        is_followed = before is not None and not followed.missed
        min_similarity = options.min_frame_similarity if is_followed else options.min_appearance_similarity
        if not is_similar(look[None], followed.appearance[None], min_similarity)[0, 0]:
            return False
        if before is None:
            return True
        growth = mask.sum() / max(1, int(before.sum()))
        overlap = float(mask_iou(before, mask))
        return overlap >= options.min_iou and 1 / options.max_growth <= growth <= options.max_growth

    def _accept(
        self, followed: TrackedPrompt, masks: Masks, index: int, look: np.ndarray, embedding: Embedding
    ) -> None:
        score = float(masks.scores[index])
        known = followed.appearance
        followed.score = score if known is None else 0.9 * followed.score + 0.1 * score
        mixed = look if known is None else 0.9 * known + 0.1 * look
        followed.appearance = mixed / max(float(np.linalg.norm(mixed)), 1e-6)
        followed.mask = mask = masks.unpadded_logits[index] > 0
        followed.missed, followed.lost = 0, False
        followed.prompt = _prompt_on_mask(followed.prompt, mask, embedding)

    def _miss(self, followed: TrackedPrompt) -> None:
        followed.missed += 1
        if followed.missed >= self.options.max_missed_frames:
            followed.lost = True


def _prompt_on_mask(prompt: Prompt, mask: np.ndarray, embedding: Embedding) -> Prompt:
    """Move the points into the middle of the mask if all of them have left it."""
    if prompt.box is not None:
        return prompt
    cells = np.floor(prompt.points / embedding.transform.pixels_per_cell).astype(int)
    height, width = mask.shape
    inside = [
        0 <= x < width and 0 <= y < height and bool(mask[y, x])
        for (x, y), label in zip(cells, prompt.labels, strict=True)
        if label
    ]
    if any(inside):
        return prompt
    around = prompt_from_mask(mask, embedding)
    return replace(prompt, points=around.points, labels=around.labels)
