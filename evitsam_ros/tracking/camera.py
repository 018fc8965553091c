# SPDX-License-Identifier: Apache-2.0
"""One camera and what it has seen: a segmenter whose answers keep their ids from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping

from ..segment import Embedding, Frame, LatencyBudget, Masks, Prompt, Segmenter, Thresholds
from ..segment.prompt import check_prompts
from .follow import Follower, FollowOptions
from .tracker import Tracker, TrackOptions


class TrackedCamera:
    """Answers for the frames of one camera, in their order. Not thread-safe."""

    def __init__(
        self, segmenter: Segmenter, track: TrackOptions | None = None, follow: FollowOptions | None = None
    ) -> None:
        self.segmenter = segmenter
        self.tracker, self.follower = Tracker(track), Follower(follow)
        self._given: dict[int, Prompt] = {}

    @property
    def known(self) -> Mapping[int, Prompt]:
        """The prompts that are followed, by object id, as they were given."""
        return self._given

    def reset(self) -> None:
        """Forget every object."""
        self.tracker.reset()
        self.follower = Follower(self.follower.options)
        self._given = {}

    def pause(self) -> None:
        """The next frame does not follow the last one, and shows another scene, perhaps.

        Objects of everything mode are forgotten. Prompted ones are kept and known by their looks alone.
        """
        self.tracker.reset()
        self.follower.pause()

    def everything(
        self,
        frame: Frame,
        top_n: int = 64,
        thresholds: Thresholds | None = None,
        budget: LatencyBudget | None = None,
        embedding: Embedding | None = None,
    ) -> Masks:
        """As :meth:`Segmenter.everything`, with ids that last.

        Up to half of the ``top_n`` prompts go to objects that are known already, so that what the proposals
        miss for a frame is not lost. ``embedding``: of the frame, where it was encoded before.
        """
        if embedding is None:
            embedding = self.segmenter.embed(frame)
        with self.segmenter.timed("track"):
            self.tracker.move(frame.image, embedding)
            known = self.tracker.suggest(embedding)[: top_n // 2]
        masks = self.segmenter.everything(embedding, top_n, thresholds, also=known, budget=budget)
        with self.segmenter.timed("track"):
            return self.tracker.update(embedding, masks)

    def prompted(
        self, frame: Frame, prompts: Mapping[int, Prompt], embedding: Embedding | None = None
    ) -> Masks:
        """Masks of prompted objects, which are followed.

        Args:
            frame: the camera's next one.
            prompts: by object id, in pixels of the frame on which an id or its prompt is new; the same
                prompt given again is the object that is followed already.
            embedding: of the frame, where it was encoded before.

        Returns:
            One mask for each object that is in sight.

        Raises:
            PromptError: a new prompt lies outside the frame; nothing is changed then.
        """
        self._check_new(prompts, frame)
        for identity in set(self._given) - set(prompts):
            self.follower.remove(identity)
        if embedding is None:
            embedding = self.segmenter.embed(frame)
        with self.segmenter.timed("track"):
            self.follower.move(frame.image, embedding)
            for identity, prompt in prompts.items():
                if self._given.get(identity) is not prompt:
                    self.follower.add(prompt, identity)
            self._given = dict(prompts)
            wanted = self.follower.prompts(embedding)
        masks = self.segmenter.decode(embedding, wanted)
        with self.segmenter.timed("track"):
            return self.follower.update(embedding, masks)

    def _check_new(self, prompts: Mapping[int, Prompt], frame: Frame) -> None:
        """Reject a new prompt outside the frame; those that are followed may have left it."""
        for index, (identity, prompt) in enumerate(prompts.items()):
            if self._given.get(identity) is not prompt:
                check_prompts([prompt], frame.size, first=index)
