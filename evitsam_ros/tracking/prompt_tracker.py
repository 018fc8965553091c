# SPDX-License-Identifier: Apache-2.0
"""Prompt once, keep the object: a prompt given on one frame goes with its object from then on.

The prompt moves as the picture under the object's mask moves. An answer that does not fit (it jumped, grew or
shrank at once, scores far below what it used to, or looks like something else) is not given; after some such
frames the object is lost, and found again only by its looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..segment import Embedding, Masks, Prompt, PromptError
from ..segment.iou import mask_iou
from .association import alike, describe
from .flow import Flow, FlowEstimator
from .prompt_motion import carry, in_view, prompt_of, resized


@dataclass(frozen=True)
class FollowOptions:
    """What still is the object.

    Attributes:
        overlap: least IoU of the last mask, moved with the picture, and the new one.
        growth: largest factor between the areas of the two.
        score: least predicted IoU, as a share of what the object has had.
        patience: frames without a fitting answer before the object is lost.
        likeness: least cosine of its description then and now, to be found again.
        still_alike: the same from one frame to the next. What is right has 0.6 and more, the background that
            takes the place of an object which left quickly often less.
    """

    overlap: float = 0.4
    growth: float = 2.0
    score: float = 0.6
    patience: int = 5
    likeness: float = 0.75
    still_alike: float = 0.5


@dataclass
class Followed:
    """One object: its prompt as it is now, and what is known of it."""

    prompt: Prompt
    mask: np.ndarray | None = None
    description: np.ndarray | None = None
    score: float = 0.0
    missed: int = 0
    lost: bool = False


class Follower:
    """Follows the prompted objects of one camera. Not thread-safe."""

    def __init__(self, options: FollowOptions | None = None) -> None:
        self.options = options or FollowOptions()
        self.objects: dict[int, Followed] = {}
        self._flow = FlowEstimator()
        self._size: tuple[int, int] | None = None

    def add(self, prompt: Prompt, identity: int) -> None:
        """Follow what ``prompt`` means on the frame that is next decoded, in place of one of that id."""
        self.objects[identity] = Followed(replace(prompt, object_id=identity))

    def remove(self, identity: int) -> bool:
        """Forget an object; False if there is none of that number."""
        return self.objects.pop(identity, None) is not None

    def clear(self) -> None:
        self.objects.clear()

    def pause(self) -> None:
        """Forget how the picture moves: on the next frame objects are known by their looks alone."""
        self._flow.reset()

    @property
    def lost(self) -> list[int]:
        """Ids of the objects that are not in sight."""
        return [identity for identity, followed in self.objects.items() if followed.lost]

    def move(self, image: np.ndarray, embedding: Embedding) -> None:
        """Carry the prompts to where the picture moved; in one of another size to the same place in it."""
        size, before = embedding.transform.size, self._size
        self._size = size
        if before is not None and before != size:
            for followed in self.objects.values():
                followed.prompt = resized(followed.prompt, before, size)
        flow = self._flow.update(image, embedding.transform)
        if flow is None:
            for followed in self.objects.values():
                followed.mask = None
            return
        for followed in self.objects.values():
            if followed.mask is not None and followed.mask.any():
                self._move(followed, followed.mask, flow, embedding)

    def _move(self, followed: Followed, mask: np.ndarray, flow: Flow, embedding: Embedding) -> None:
        moved = flow.move(mask[None])[0]
        followed.prompt = carry(followed.prompt, flow.similarity(moved), embedding.transform)
        if moved.any():
            followed.mask = moved

    def prompts(self, embedding: Embedding) -> list[Prompt]:
        """What to decode on this frame; objects whose prompts are out of view are not among them."""
        usable = []
        for followed in self.objects.values():
            try:
                usable.append(in_view(followed.prompt, embedding.transform.size))
            except PromptError:
                self._miss(followed)
        return usable

    def update(self, embedding: Embedding, masks: Masks) -> Masks:
        """The answers that fit; ``masks`` are those of :meth:`prompts`, one each."""
        found = masks.visible > 0
        data, sides = np.asarray(embedding.data.image_embeddings), embedding.transform.mask_size
        looks = describe(data, found, (sides[0] / data.shape[2], sides[1] / data.shape[3]))
        fitting = []
        for index, identity in enumerate(masks.object_ids.tolist()):
            followed = self.objects[identity]
            if self._fits(followed, found[index], looks[index], float(masks.scores[index])):
                self._keep(followed, masks, index, looks[index], embedding)
                fitting.append(index)
            else:
                self._miss(followed)
        return masks.select(np.array(fitting, int))

    def _fits(self, followed: Followed, mask: np.ndarray, look: np.ndarray, score: float) -> bool:
        options = self.options
        if not mask.any():
            return False
        if followed.description is None:  # the first answer is the user's own choice
            return True
        if score < options.score * followed.score:
            return False
        before = None if followed.lost else followed.mask
        least = options.likeness if before is None else options.still_alike
        if not alike(look[None], followed.description[None], least)[0, 0]:
            return False
        if before is None:
            return True
        growth = mask.sum() / max(1, int(before.sum()))
        overlap = float(mask_iou(before, mask))
        return overlap >= options.overlap and 1 / options.growth <= growth <= options.growth

    def _keep(
        self, followed: Followed, masks: Masks, index: int, look: np.ndarray, embedding: Embedding
    ) -> None:
        score = float(masks.scores[index])
        known = followed.description
        followed.score = score if known is None else 0.9 * followed.score + 0.1 * score
        mixed = look if known is None else 0.9 * known + 0.1 * look
        followed.description = mixed / max(float(np.linalg.norm(mixed)), 1e-6)
        followed.mask = mask = masks.visible[index] > 0
        followed.missed, followed.lost = 0, False
        followed.prompt = _on_its_mask(followed.prompt, mask, embedding)

    def _miss(self, followed: Followed) -> None:
        followed.missed += 1
        if followed.missed >= self.options.patience:
            followed.lost = True


def _on_its_mask(prompt: Prompt, mask: np.ndarray, embedding: Embedding) -> Prompt:
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
    around = prompt_of(mask, embedding)
    return replace(prompt, points=around.points, labels=around.labels)
