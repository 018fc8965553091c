# SPDX-License-Identifier: Apache-2.0
"""One camera and what it has seen: a segmenter whose answers keep their ids from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..segment import (
    Frame,
    GeneratorOptions,
    LatencyBudget,
    MaskGenerator,
    Masks,
    Prompt,
    Segmenter,
    Thresholds,
)
from ..segment.prompt import check_prompts
from ..segment.timing import add_timings
from .prompt_tracker import Follower, FollowOptions
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
    ) -> Masks:
        """Generate masks as :class:`~evitsam_ros.segment.MaskGenerator` does, with ids that last.

        Up to half of the ``top_n`` prompts go to objects that are known already, so that what the proposals
        miss for a frame is not lost.
        """
        embedding, timer = self.segmenter.embed(frame), self.segmenter.new_timer()
        with timer.stage("track"):
            self.tracker.move(frame.image, embedding)
            known = self.tracker.suggest(embedding)[: top_n // 2]
        options = GeneratorOptions(max_prompts=top_n, thresholds=thresholds, budget=budget)
        found = MaskGenerator(self.segmenter, options).generate(embedding, known, timer.seconds["track"])
        with timer.stage("track"):
            masks = self.tracker.update(embedding, found)
        return replace(masks, timings=add_timings(embedding.timings, found.timings, timer.seconds))

    def prompted(self, frame: Frame, prompts: Mapping[int, Prompt]) -> Masks:
        """Masks of prompted objects, which are followed.

        Args:
            frame: the camera's next one.
            prompts: by object id, in pixels of the frame on which an id or its prompt is new; the same
                prompt given again is the object that is followed already.

        Returns:
            One mask for each object that is in sight.

        Raises:
            PromptError: a new prompt lies outside the frame; nothing is changed then.
        """
        self._check_new(prompts, frame)
        for identity in set(self._given) - set(prompts):
            self.follower.remove(identity)
        embedding, timer = self.segmenter.embed(frame), self.segmenter.new_timer()
        with timer.stage("track"):
            self.follower.move(frame.image, embedding)
            for identity, prompt in prompts.items():
                if self._given.get(identity) is not prompt:
                    self.follower.add(prompt, identity)
            self._given = dict(prompts)
            wanted = self.follower.prompts(embedding)
        decoded = self.segmenter.decode(embedding, wanted)
        with timer.stage("track"):
            masks = self.follower.update(embedding, decoded)
        return replace(masks, timings=add_timings(embedding.timings, decoded.timings, timer.seconds))

    def _check_new(self, prompts: Mapping[int, Prompt], frame: Frame) -> None:
        """Reject a new prompt outside the frame; those that are followed may have left it."""
        for index, (identity, prompt) in enumerate(prompts.items()):
            if self._given.get(identity) is not prompt:
                check_prompts([prompt], frame.size, first=index)
