# SPDX-License-Identifier: Apache-2.0
"""Object ids that persist: everything mode's masks of a frame get the ids of the objects they are.

A frame goes: :meth:`Tracker.move` (the known masks follow the picture), :meth:`Tracker.suggest` (where to
look for them), :meth:`Tracker.update` (who is who; births, deaths, returns).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ..segment import Embedding, Masks, Prompt, PromptError
from ..segment.iou import mask_iou_matrix
from .association import alike, assign, describe
from .flow import FlowEstimator
from .prompt_motion import carry, in_view, prompt_of

#: Ids are values of a 16-bit label map; 0 is the background.
LAST_ID = 65535


@dataclass(frozen=True)
class TrackOptions:
    """How sure is sure.

    Attributes:
        overlap: least IoU of a known object's mask, moved with the picture, and a found one.
        birth: frames in a row in which an object has to be found before it is shown; the first frame shows
            everything.
        patience: frames for which an object that is not found is remembered.
        likeness: least cosine of two descriptions, for an object that comes back from behind something.
        still_alike: the same from one frame to the next.
        near: a returning object is looked for within this many of its own sizes.
        most: objects remembered at once; the longest unseen go first.
    """

    overlap: float = 0.3
    birth: int = 2
    patience: int = 30
    likeness: float = 0.75
    still_alike: float = 0.5
    near: float = 3.0
    most: int = 512


@dataclass
class Track:
    """One object as it was last found, its mask and its prompt since moved with the picture."""

    identity: int
    mask: np.ndarray
    prompt: Prompt
    description: np.ndarray
    hits: int = 1
    missed: int = 0
    shown: bool = False
    centre: np.ndarray | None = None
    size: float = 1.0

    def __post_init__(self) -> None:
        self.put(self.mask)

    def put(self, mask: np.ndarray) -> None:
        """Where it is now; what went out of view keeps the place where it was last.

        ``centre`` is x, y and ``size`` the root of the area, in cells.
        """
        self.mask = mask
        centre, size = _place(mask)
        if centre is not None:
            self.centre, self.size = centre, size


class Tracker:
    """Keeps the identities of one camera's objects. Not thread-safe."""

    def __init__(self, options: TrackOptions | None = None) -> None:
        self.options = options or TrackOptions()
        self.tracks: list[Track] = []
        self.lost: list[int] = []
        self._flow = FlowEstimator()
        self._next = 1
        self._frames = 0

    def reset(self) -> None:
        """Forget everything; ids go on counting."""
        self.tracks, self.lost, self._frames = [], [], 0
        self._flow.reset()

    def move(self, image: np.ndarray, embedding: Embedding) -> None:
        """Carry masks and prompts to where the picture moved. A picture of another size begins anew."""
        flow = self._flow.update(image, embedding.transform)
        if flow is None:
            self.tracks = []
            self._frames = 0
        elif self.tracks:
            moved = flow.move(np.stack([track.mask for track in self.tracks]))
            for track, mask in zip(self.tracks, moved, strict=True):
                track.put(mask)
                if track.shown:
                    track.prompt = carry(track.prompt, flow.similarity(mask), embedding.transform)

    def suggest(self, embedding: Embedding) -> list[Prompt]:
        """The prompts that found the shown objects, where these should be by now; best known first.

        Not the boxes of their masks: masks are a little smaller than what was asked for, and an object asked
        for by its own mask shrinks from frame to frame.
        """
        shown = [track for track in self.tracks if track.shown and track.mask.any()]
        shown.sort(key=lambda track: (track.missed, -track.hits))
        usable = []
        for track in shown:
            with suppress(PromptError):
                usable.append(in_view(track.prompt, embedding.transform.size))
        return usable

    def update(self, embedding: Embedding, masks: Masks) -> Masks:
        """Give the masks of a frame their objects' ids; masks not yet believed in are left out.

        Args:
            embedding: of the frame, as given to :meth:`move`.
            masks: what everything mode found, one mask an object.
        """
        asked = masks.prompts or [prompt_of(mask, embedding) for mask in masks.visible > 0]
        found = masks.visible > 0
        sides = embedding.transform.mask_size
        data = np.asarray(embedding.data.image_embeddings)
        cells = (sides[0] / data.shape[2], sides[1] / data.shape[3])
        looks = describe(data, found, cells)
        pairs = self._same(found, looks)
        pairs += self._returned(found, looks, pairs)
        owners: dict[int, Track] = {}
        for row, column in pairs:
            track = self.tracks[row]
            track.put(found[column])
            track.prompt = asked[column]
            track.missed, track.hits = 0, track.hits + 1
            track.description = _blend(track.description, looks[column])
            owners[column] = track
        for column in range(len(found)):
            if column not in owners:
                owners[column] = self._born(found[column], asked[column], looks[column])
        self._frames += 1
        self._age({id(track) for track in owners.values()})
        shown = [column for column in range(len(found)) if self._believed(owners[column])]
        ids = np.array([owners[column].identity for column in shown], int)
        return replace(masks.select(np.array(shown, int)), object_ids=ids)

    def _same(self, found: np.ndarray, looks: np.ndarray) -> list[tuple[int, int]]:
        """Objects that are where they were, and still look alike."""
        if not self.tracks or not len(found):
            return []
        scores = mask_iou_matrix(np.stack([track.mask for track in self.tracks]), found)
        known = np.stack([track.description for track in self.tracks])
        scores[~alike(known, looks, self.options.still_alike)] = 0.0
        # Of two that overlap it alike, the one seen last has it.
        late = np.array([0.01 * min(track.missed, 10) for track in self.tracks], np.float32)
        return assign(np.where(scores >= self.options.overlap, scores - late[:, None], 0), 0.05)

    def _returned(
        self, found: np.ndarray, looks: np.ndarray, pairs: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Objects that were out of sight, by their looks, near where they were and of about their size."""
        taken, known = {c for _, c in pairs}, {r for r, _ in pairs}
        rows = [i for i, t in enumerate(self.tracks) if i not in known and t.shown]
        columns = [i for i in range(len(found)) if i not in taken]
        if not rows or not columns:
            return []
        scores = np.array([self.tracks[r].description for r in rows]) @ looks[columns].T
        places = [_place(found[column]) for column in columns]
        for i, track in enumerate(self.tracks[row] for row in rows):
            reach = self.options.near * track.size * (1 + track.missed / 10)
            for j, (centre, size) in enumerate(places):
                far = centre is None or np.linalg.norm(track.centre - centre) > reach
                if far or not 0.5 < size / track.size < 2.0:
                    scores[i, j] = 0.0
        return [(rows[i], columns[j]) for i, j in assign(scores, self.options.likeness)]

    def _born(self, mask: np.ndarray, prompt: Prompt, description: np.ndarray) -> Track:
        track = Track(0, mask, prompt, description)
        self.tracks.append(track)
        return track

    def _believed(self, track: Track) -> bool:
        if not track.shown and (track.hits >= self.options.birth or self._frames == 1):
            track.shown, track.identity = True, self._new_identity()
        return track.shown

    def _new_identity(self) -> int:
        used = {track.identity for track in self.tracks}
        while self._next in used:
            self._next = self._next % LAST_ID + 1
        identity, self._next = self._next, self._next % LAST_ID + 1
        return identity

    def _age(self, seen: set[int]) -> None:
        """Who was not found is one frame older; who never was believed in dies at once.

        :attr:`lost` are the ids that this frame does not have and the one before had.
        """
        kept, self.lost = [], []
        for track in self.tracks:
            if id(track) in seen:
                kept.append(track)
                continue
            track.missed += 1
            if track.shown and track.missed <= self.options.patience:
                kept.append(track)
            if track.shown and track.missed == 1:
                self.lost.append(track.identity)
        kept.sort(key=lambda track: track.missed)
        self.tracks = kept[: self.options.most]


def _place(mask: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Centre x, y of a mask and the root of its area, in cells; None for an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None, 0.0
    return np.array([columns.mean(), rows.mean()]), float(np.sqrt(len(rows)))


def _blend(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    mixed = 0.8 * old + 0.2 * new
    return mixed / max(float(np.linalg.norm(mixed)), 1e-6)
