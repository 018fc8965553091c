# SPDX-License-Identifier: Apache-2.0
"""Segment the frames of one camera with tracked ids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..deprecation import warn_renamed
from ..segment import (
    CloserLooks,
    Embedding,
    Frame,
    GeneratorOptions,
    LatencyBudget,
    MaskGenerator,
    Masks,
    Prompt,
    Segmenter,
    Thresholds,
    look_closer,
)
from ..segment.prompt import check_prompts
from ..segment.timing import add_timings
from .prompt_tracker import PromptTracker, PromptTrackOptions
from .tracker import Tracker, TrackOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Share of the prompts of a frame with a budget that objects on show may take; the rest finds new objects.
SPARED = 7 / 8


class TrackedCamera:
    """Segment the frames of one camera, in their order, with stable ids. Not thread-safe."""

    def __init__(
        self,
        segmenter: Segmenter,
        track: TrackOptions | None = None,
        follow: PromptTrackOptions | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.tracker, self.prompt_tracker = Tracker(track), PromptTracker(follow)
        self._given: dict[int, Prompt] = {}

    @property
    def known(self) -> Mapping[int, Prompt]:
        """Return the prompts that are tracked, by object id, as they were given."""
        return self._given

    @property
    def follower(self) -> PromptTracker:
        """Return :attr:`prompt_tracker`; deprecated."""
        warn_renamed("TrackedCamera.follower", "TrackedCamera.prompt_tracker")
        return self.prompt_tracker

    def reset(self) -> None:
        """Drop all objects."""
        self.tracker.reset()
        self.prompt_tracker = PromptTracker(self.prompt_tracker.options)
        self._given = {}

    def pause(self) -> None:
        """Prepare for a frame that does not follow the last one and may show another scene.

        Objects of everything mode are dropped. Prompted ones are found by their appearance only.
        """
        self.tracker.reset()
        self.prompt_tracker.pause()

    def everything(
        self,
        frame: Frame,
        top_n: int = 64,
        thresholds: Thresholds | None = None,
        budget: LatencyBudget | None = None,
        embedding: Embedding | None = None,
        reserved_ids: Collection[int] = (),
    ) -> Masks:
        """Generate masks as :class:`~evitsam_ros.segment.MaskGenerator` does, with tracked ids.

        Up to half of the ``top_n`` prompts go to objects that are known already, so that objects without a
        proposal in a frame are not lost. With a budget more of them (:data:`SPARED`) go to objects on show,
        which come first: proposals may be left out.

        Args:
            frame: the camera's next one.
            top_n: max number of prompts to decode.
            thresholds: which masks to keep; None: the bundle's own.
            budget: decode no more than there is time for.
            embedding: of the frame, where it was encoded before; its timings are not added to the result's.
            reserved_ids: ids of prompted objects, which no other object gets.
        """
        self.tracker.reserve(reserved_ids)
        given, timer = embedding is not None, self.segmenter.new_timer()
        if embedding is None:
            embedding = self.segmenter.embed(frame)
        with timer.stage("track"):
            self.tracker.predict(frame.image, embedding)
            known = self.tracker.propose_prompts(embedding)
            limit = top_n // 2
            if budget is not None:
                budget.on_show = min(self.tracker.on_show, int(SPARED * top_n))
                limit = max(limit, budget.on_show)
        options = GeneratorOptions(max_prompts=top_n, thresholds=thresholds, budget=budget)
        found = MaskGenerator(self.segmenter, options).generate(
            embedding, known[:limit], timer.seconds["track"]
        )
        with timer.stage("track"):
            masks = self.tracker.update(embedding, found)
        return replace(
            masks, timings=add_timings({} if given else embedding.timings, found.timings, timer.seconds)
        )

    def prompted(
        self,
        frame: Frame,
        prompts: Mapping[int, Prompt],
        embedding: Embedding | None = None,
        closer: CloserLooks | None = None,
        elapsed: float = 0.0,
    ) -> Masks:
        """Decode the masks of prompted objects, which are tracked.

        Args:
            frame: the camera's next one.
            prompts: by object id, in pixels of the frame on which an id or its prompt is new; the same
                prompt given again is the object that is tracked already.
            embedding: of the frame, where it was encoded before; its timings are not added to the result's.
            closer: closer looks at the objects that are shown; None: none. Tracking does not depend on them.
            elapsed: seconds that the frame has taken already, beside its embedding; for these looks.

        Returns:
            One mask for each object that is in sight.

        Raises:
            PromptError: a new prompt lies outside the frame; the state is unchanged then.
        """
        self._check_new(prompts, frame)
        for identity in set(self._given) - set(prompts):
            self.prompt_tracker.remove(identity)
        given, timer = embedding is not None, self.segmenter.new_timer()
        if embedding is None:
            embedding = self.segmenter.embed(frame)
        with timer.stage("track"):
            self.prompt_tracker.predict(frame.image, embedding)
            for identity, prompt in prompts.items():
                if self._given.get(identity) is not prompt:
                    self.prompt_tracker.add(prompt, identity)
            self._given = dict(prompts)
            wanted = self.prompt_tracker.prompts(embedding)
        decoded = self.segmenter.decode(embedding, wanted)
        with timer.stage("track"):
            masks = self.prompt_tracker.update(embedding, decoded)
        if closer is not None:
            spent = add_timings(embedding.timings, decoded.timings, timer.seconds)
            masks = look_closer(self.segmenter, frame, masks, closer, elapsed + sum(spent.values()))
        return replace(
            masks, timings=add_timings({} if given else embedding.timings, masks.timings, timer.seconds)
        )

    def _check_new(self, prompts: Mapping[int, Prompt], frame: Frame) -> None:
        """Reject a new prompt outside the frame; those that are tracked may have left it."""
        for index, (identity, prompt) in enumerate(prompts.items()):
            if self._given.get(identity) is not prompt:
                check_prompts([prompt], frame.size, first=index)
