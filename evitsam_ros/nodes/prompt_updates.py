# SPDX-License-Identifier: Apache-2.0
"""The prompts of a camera as data: stored objects, updates by messages, updates that wait for an image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..segment import Prompt


@dataclass(frozen=True, eq=False)
class StoredPrompt:
    """A prompt with the id of its object.

    Attributes:
        identity: the object's value in the label map.
        name: class of the object, empty where its sender gave none.
        sender_id: id that its sender gave it, empty for none.
        score: of the detector that found it; None for none.
    """

    identity: int
    prompt: Prompt
    name: str = ""
    sender_id: str = ""
    score: float | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StoredPrompt):
            return NotImplemented
        mine, theirs = ((p.identity, p.name, p.sender_id, p.score) for p in (self, other))
        return mine == theirs and _same_prompt(self.prompt, other.prompt)

    def __hash__(self) -> int:
        return hash((self.identity, self.name, self.sender_id))

    def __str__(self) -> str:
        return f"{self.identity} ({self.name or 'object'})"


@dataclass(frozen=True)
class PromptUpdate:
    """The prompts of one message.

    Attributes:
        number: updates are numbered as they arrive.
        topic: topic of the message.
        is_array: the update replaces earlier arrays; otherwise it adds objects (a click).
        objects: prompted objects.
        stamp: stamp of the image that the update refers to, nanoseconds; 0: it applies at once.
    """

    number: int
    topic: str
    is_array: bool
    objects: tuple[StoredPrompt, ...]
    stamp: int = 0

    def __str__(self) -> str:
        image = f"the image of {self.stamp / 1e9:.3f} s" if self.stamp else "the next image"
        objects = ", ".join(map(str, self.objects)) or "no objects"
        return f"update {self.number} of {self.topic} for {image}: {objects}"


@dataclass(frozen=True)
class PendingPrompt:
    """Hold an update that waits, first for its image and then for its processing.

    Attributes:
        update: update to apply.
        deadline: when to stop waiting for the image, seconds of the monotonic clock.
        has_image: the image has arrived.
    """

    update: PromptUpdate
    deadline: float = float("inf")
    has_image: bool = False

    def __str__(self) -> str:
        return f"{self.update}; waits for its {'turn' if self.has_image else 'image'}"


@dataclass(eq=False)
class ActivePrompts:
    """The prompts of the image in work. Objects that are removed meanwhile are taken out of it.

    Attributes:
        objects: all prompted objects of the image.
        update: the update that the image is processed for; None: only stored prompts apply.
        born: by id, the number that distinguishes an object from an earlier one of its id.
    """

    objects: list[StoredPrompt]
    update: PromptUpdate | None = None
    born: dict[int, int] = field(default_factory=dict)

    @property
    def ids(self) -> set[int]:
        """Return the ids of the objects."""
        return {item.identity for item in self.objects}


def _same_prompt(a: Prompt, b: Prompt) -> bool:
    """Compare two prompts by their values; their arrays have no single truth value."""
    pairs = [(getattr(a, name), getattr(b, name)) for name in ("points", "labels", "box", "mask")]
    return a.object_id == b.object_id and all(
        (one is None and other is None)
        or (one is not None and other is not None and np.array_equal(one, other))
        for one, other in pairs
    )
