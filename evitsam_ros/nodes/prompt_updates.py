# SPDX-License-Identifier: Apache-2.0
"""A prompted object, and prompts that wait for the image that they are meant for."""

from __future__ import annotations

from dataclasses import dataclass

from ..segment import Prompt


@dataclass(frozen=True, eq=False)
class StoredPrompt:
    """A prompt with the id of its object.

    Attributes:
        identity: the object's value in the label map.
        name: its class, empty where its sender gave none.
        sender_id: the id that its sender gave it, empty for none.
    """

    identity: int
    prompt: Prompt
    name: str = ""
    sender_id: str = ""


@dataclass(frozen=True, eq=False)
class PromptUpdate:
    """What one message asks for.

    Attributes:
        number: orders are numbered as they arrive.
        topic: that the message came on.
        array: it takes the place of the earlier arrays; else it adds objects.
        objects: that it asks for.
        stamp: of the image that it is meant for, nanoseconds; 0: it counts at once.
        until: when to give up waiting for that image, by the monotonic clock.
        has_image: the image is there; the order waits for its turn.
    """

    number: int
    topic: str
    array: bool
    objects: tuple[StoredPrompt, ...]
    stamp: int = 0
    until: float = float("inf")
    has_image: bool = False


@dataclass(eq=False)
class ActivePrompts:
    """What an image in work is asked about; what is removed meanwhile leaves it.

    Attributes:
        objects: all that are asked for.
        order: that the image is answered for; None: what persists alone.
    """

    objects: list[StoredPrompt]
    order: PromptUpdate | None = None

    @property
    def ids(self) -> set[int]:
        return {item.identity for item in self.objects}
