# SPDX-License-Identifier: Apache-2.0
"""Object ids that persist: everything mode's masks of a frame get the ids of the objects they are.

As in SORT, each frame takes three steps: :meth:`Tracker.predict` moves the known masks with the image,
:meth:`Tracker.propose_prompts` returns prompts for them, and :meth:`Tracker.update` associates the decoded
masks with the tracks, starts new ones and ends old ones.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ..deprecation import renamed_keywords
from ..segment import Embedding, Masks, Prompt, PromptError
from ..segment.iou import mask_iou_matrix
from .association import appearance_embeddings, assign, is_similar
from .flow import FlowEstimator
from .prompt_motion import in_view, prompt_from_mask, warp_prompt

if TYPE_CHECKING:
    from collections.abc import Collection

#: Ids are values of a 16-bit label map; 0 is the background.
LAST_ID = 65535


@dataclass(frozen=True)
class TrackOptions:
    """Thresholds of the association.

    Attributes:
        min_iou: min IoU of a track's mask, moved with the image, and a found one.
        min_hits: frames in a row in which an object has to be found before it is published; the first frame
            publishes everything.
        max_lost_frames: frames for which an object that is not found is remembered.
        min_appearance_similarity: min cosine of two appearance embeddings, for an object that returns.
        min_frame_similarity: the same from one frame to the next.
        max_return_distance: a returning object is looked for within this many of its own sizes.
        max_tracks: tracks at once; the longest unseen are dropped first.
        max_id: ids start at 1 again after it; only while all of them are in use there are larger ones.
    """

    min_iou: float = 0.3
    min_hits: int = 2
    max_lost_frames: int = 30
    min_appearance_similarity: float = 0.75
    min_frame_similarity: float = 0.5
    max_return_distance: float = 3.0
    max_tracks: int = 512
    max_id: int = LAST_ID


TrackOptions.__init__ = renamed_keywords(  # type: ignore[method-assign]
    overlap="min_iou",
    birth="min_hits",
    patience="max_lost_frames",
    likeness="min_appearance_similarity",
    still_alike="min_frame_similarity",
    near="max_return_distance",
    most="max_tracks",
)(TrackOptions.__init__)


@dataclass
class Track:
    """One object as it was last found, its mask and its prompt since moved with the image."""

    identity: int
    mask: np.ndarray
    prompt: Prompt
    appearance: np.ndarray
    hits: int = 1
    missed: int = 0
    shown: bool = False
    centre: np.ndarray | None = None
    size: float = 1.0

    def __post_init__(self) -> None:
        self.set_mask(self.mask)

    def set_mask(self, mask: np.ndarray) -> None:
        """Set where the object is; one that left the view keeps its last centre and size.

        ``centre`` is x, y and ``size`` the square root of the area, in cells.
        """
        self.mask = mask
        centre, size = _centre_and_size(mask)
        if centre is not None:
            self.centre, self.size = centre, size


class Tracker:
    """Keep the ids of one camera's objects. Not thread-safe.

    Attributes:
        tracks: all objects that are remembered.
        lost: ids that the last frame does not have and the one before had.
    """

    def __init__(self, options: TrackOptions | None = None) -> None:
        self.options = options or TrackOptions()
        self.tracks: list[Track] = []
        self.lost: list[int] = []
        self._flow = FlowEstimator()
        self._next = 1
        self._reserved: frozenset[int] = frozenset()
        self._frames = 0

    def reset(self) -> None:
        """Drop all tracks; ids are not used again."""
        self.tracks, self.lost, self._frames = [], [], 0
        self._flow.reset()

    def reserve(self, ids: Collection[int]) -> None:
        """Keep ids for objects that are not tracked here; a track that has one gets another."""
        self._reserved = frozenset(ids)
        for track in self.tracks:
            if track.shown and track.identity in self._reserved:
                track.identity = self._new_identity()

    def predict(self, image: np.ndarray, embedding: Embedding) -> None:
        """Move masks and prompts with the image; one of another size drops all tracks.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            embedding: of the image.
        """
        flow = self._flow.update(image, embedding.transform)
        if flow is None:
            self.tracks = []
            self._frames = 0
        elif self.tracks:
            moved = flow.warp_masks(np.stack([track.mask for track in self.tracks]))
            for track, mask in zip(self.tracks, moved, strict=True):
                track.set_mask(mask)
                if track.shown:
                    track.prompt = warp_prompt(track.prompt, flow.similarity(mask), embedding.transform)

    @property
    def on_show(self) -> int:
        """Return the number of objects that the last frame has shown and this one may have."""
        return sum(track.shown and not track.missed and bool(track.mask.any()) for track in self.tracks)

    def propose_prompts(self, embedding: Embedding) -> list[Prompt]:
        """Return the prompts that found the published objects, moved with the image; best known first.

        Not the boxes of their masks: masks are a little smaller than the prompted object, so an object that
        is prompted by its own mask shrinks from frame to frame.
        """
        shown = [track for track in self.tracks if track.shown and track.mask.any()]
        shown.sort(key=lambda track: (track.missed, -track.hits))
        usable = []
        for track in shown:
            with suppress(PromptError):
                usable.append(in_view(track.prompt, embedding.transform.size))
        return usable

    def update(self, embedding: Embedding, masks: Masks) -> Masks:
        """Give the masks of a frame their objects' ids.

        Args:
            embedding: of the frame, as given to :meth:`predict`.
            masks: of everything mode, one mask an object.

        Returns:
            The masks of confirmed tracks.
        """
        asked = masks.prompts or [prompt_from_mask(mask, embedding) for mask in masks.unpadded_logits > 0]
        found = masks.unpadded_logits > 0
        sides = embedding.transform.mask_size
        data = np.asarray(embedding.data.image_embeddings)
        cells = (sides[0] / data.shape[2], sides[1] / data.shape[3])
        looks = appearance_embeddings(data, found, cells)
        pairs = self._match_by_overlap(found, looks)
        pairs += self._match_returned(found, looks, pairs)
        owners: dict[int, Track] = {}
        for row, column in pairs:
            track = self.tracks[row]
            track.set_mask(found[column])
            track.prompt = asked[column]
            track.missed, track.hits = 0, track.hits + 1
            track.appearance = _blend(track.appearance, looks[column])
            owners[column] = track
        for column in range(len(found)):
            if column not in owners:
                owners[column] = self._start_track(found[column], asked[column], looks[column])
        self._frames += 1
        self._age({id(track) for track in owners.values()})
        shown = [column for column in range(len(found)) if self._is_confirmed(owners[column])]
        ids = np.array([owners[column].identity for column in shown], int)
        return replace(masks.select(np.array(shown, int)), object_ids=ids)

    def _match_by_overlap(self, found: np.ndarray, looks: np.ndarray) -> list[tuple[int, int]]:
        """Match tracks and masks that overlap and look similar: pairs of their indices."""
        if not self.tracks or not len(found):
            return []
        scores = mask_iou_matrix(np.stack([track.mask for track in self.tracks]), found)
        known = np.stack([track.appearance for track in self.tracks])
        scores[~is_similar(known, looks, self.options.min_frame_similarity)] = 0.0
        # Of two tracks that overlap a mask equally, the one that was seen last gets it.
        late = np.array([0.01 * min(track.missed, 10) for track in self.tracks], np.float32)
        return assign(np.where(scores >= self.options.min_iou, scores - late[:, None], 0), 0.05)

    def _match_returned(
        self, found: np.ndarray, looks: np.ndarray, pairs: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Match tracks that were lost by appearance, near where they were and of about their size."""
        taken, known = {c for _, c in pairs}, {r for r, _ in pairs}
        rows = [i for i, t in enumerate(self.tracks) if i not in known and t.shown]
        columns = [i for i in range(len(found)) if i not in taken]
        if not rows or not columns:
            return []
        scores = np.array([self.tracks[r].appearance for r in rows]) @ looks[columns].T
        places = [_centre_and_size(found[column]) for column in columns]
        for i, track in enumerate(self.tracks[row] for row in rows):
            reach = self.options.max_return_distance * track.size * (1 + track.missed / 10)
            for j, (centre, size) in enumerate(places):
                far = centre is None or np.linalg.norm(track.centre - centre) > reach
                if far or not 0.5 < size / track.size < 2.0:
                    scores[i, j] = 0.0
        return [(rows[i], columns[j]) for i, j in assign(scores, self.options.min_appearance_similarity)]

    def _start_track(self, mask: np.ndarray, prompt: Prompt, appearance: np.ndarray) -> Track:
        track = Track(0, mask, prompt, appearance)
        self.tracks.append(track)
        return track

    def _is_confirmed(self, track: Track) -> bool:
        if not track.shown and (track.hits >= self.options.min_hits or self._frames == 1):
            track.shown, track.identity = True, self._new_identity()
        return track.shown

    def _new_identity(self) -> int:
        used = {track.identity for track in self.tracks} | self._reserved
        last = self.options.max_id
        candidates = chain(range(self._next, last + 1), range(1, self._next))
        identity = next((number for number in candidates if number not in used), max(used, default=0) + 1)
        self._next = identity % last + 1
        return identity

    def _age(self, seen: set[int]) -> None:
        """Age the tracks that were not found; those that were never confirmed are dropped at once.

        :attr:`lost` are the ids that this frame does not have and the one before had.
        """
        kept, self.lost = [], []
        for track in self.tracks:
            if id(track) in seen:
                kept.append(track)
                continue
            track.missed += 1
            if track.shown and track.missed <= self.options.max_lost_frames:
                kept.append(track)
            if track.shown and track.missed == 1:
                self.lost.append(track.identity)
        kept.sort(key=lambda track: track.missed)
        self.tracks = kept[: self.options.max_tracks]


def _centre_and_size(mask: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Return the centre x, y of a mask and the square root of its area, in cells; None for an empty one."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None, 0.0
    return np.array([columns.mean(), rows.mean()]), float(np.sqrt(len(rows)))


def _blend(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    mixed = 0.8 * old + 0.2 * new
    return mixed / max(float(np.linalg.norm(mixed)), 1e-6)
