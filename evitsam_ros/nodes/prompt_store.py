# SPDX-License-Identifier: Apache-2.0
"""The prompts that persist: clicks add up, a detector's array takes the place of its last one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from ..segment import Prompt


@dataclass(frozen=True)
class Prompted:
    """A prompt that persists, with the id of its object and the name that its sender gave it."""

    identity: int
    prompt: Prompt
    name: str = ""


class PromptStore:
    """Written by the executor's thread, read by the inference's; a new object gets the lowest free id."""

    def __init__(self, most_clicks: int) -> None:
        self.most_clicks = most_clicks
        self._lock = threading.Lock()
        self._clicks: list[Prompted] = []
        self._detections: list[Prompted] = []

    def click(self, prompt: Prompt) -> bool:
        """Add an object; False if there are ``most_clicks`` already."""
        with self._lock:
            if len(self._clicks) >= self.most_clicks:
                return False
            identity = next(_free_identities([*self._clicks, *self._detections]))
            self._clicks.append(Prompted(identity, prompt))
            return True

    def detect(self, prompts: Iterable[tuple[Prompt, str]]) -> None:
        """The detector's objects from now on, with their names."""
        with self._lock:
            free = _free_identities(self._clicks)
            self._detections = [Prompted(next(free), prompt, name) for prompt, name in prompts]

    def clear(self) -> int:
        """Forget everything; how many there were."""
        with self._lock:
            number = len(self._clicks) + len(self._detections)
            self._clicks, self._detections = [], []
            return number

    def remove(self, identity: int) -> bool:
        """Forget the object with this id; False if there is none."""
        with self._lock:
            before = len(self._clicks) + len(self._detections)
            self._clicks = [kept for kept in self._clicks if kept.identity != identity]
            self._detections = [kept for kept in self._detections if kept.identity != identity]
            return len(self._clicks) + len(self._detections) < before

    def drop(self, item: Prompted) -> None:
        """Forget one, if it is still there."""
        with self._lock:
            self._clicks = [kept for kept in self._clicks if kept is not item]
            self._detections = [kept for kept in self._detections if kept is not item]

    def all(self) -> list[Prompted]:
        with self._lock:
            return [*self._clicks, *self._detections]


def _free_identities(taken: list[Prompted]) -> Iterator[int]:
    """Ids from 1 on that no prompt of ``taken`` has."""
    used = {item.identity for item in taken}
    return (identity for identity in count(1) if identity not in used)
