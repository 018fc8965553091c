# SPDX-License-Identifier: Apache-2.0
"""A frame and what is asked of it -> masks, as the parameters say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..segment import Frame, LatencyBudget, Masks, Prompt, PromptError, Segmenter
from ..segment.budget import FEWEST
from ..tracking import TrackedCamera
from .continuity import Continuity
from .diagnostics import CameraDiagnostics
from .frame_settings import FrameSettings
from .pending_prompts import FrameRequest
from .prompt_updates import StoredPrompt


class FrameSegmenter:
    """The masks of one camera's frames, in their order. Used by the inference thread alone.

    Args:
        segmenter: shared by all cameras.
        drop: told of prompted objects that do not fit their image.
        report_error: told (kind, text) of them.
        warn: logs a text.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        health: CameraDiagnostics,
        drop: Callable[[StoredPrompt], None],
        report_error: Callable[[str, str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._camera = TrackedCamera(segmenter)
        self._health, self._drop, self._report_error, self._warn = health, drop, report_error, warn
        self._continuity = Continuity()
        self._mode: tuple[str, bool] | None = None
        self._budget: LatencyBudget | None = None

    @property
    def segmenter(self) -> Segmenter:
        return self._camera.segmenter

    @segmenter.setter
    def segmenter(self, segmenter: Segmenter) -> None:
        """Go on with another runtime, from the next frame on; objects keep their ids."""
        self._camera.segmenter = segmenter

    def masks(
        self, frame: Frame, wanted: Sequence[StoredPrompt], settings: FrameSettings, job: FrameRequest
    ) -> tuple[Masks, dict[int, str]]:
        """The masks of a frame, none of them empty, and the names of their objects by id.

        Args:
            wanted: the prompted objects, in prompt mode.
            job: says when the frame came, and in which session.
        """
        self._keep_up(settings, frame.stamp or job.arrived, job.session)
        self.segmenter.min_region = self.segmenter.thresholds().but(**settings.thresholds()).min_region
        if settings.mode == "everything":
            masks, names = self._everything(frame, settings, time.monotonic() - job.arrived)
        else:
            masks, names = self._prompted(frame, wanted, settings.track)
        found = masks.areas > 0
        self._health.count("empty_masks", int((~found).sum()))
        return masks if found.all() else masks.select(found), names

    def _keep_up(self, settings: FrameSettings, stamp: float, session: object) -> None:
        """Forget how objects moved where that is not known: after a pause, and in another mode."""
        mode, before = (settings.mode, settings.track), self._mode
        paused = self._continuity.is_broken(stamp, session)
        if mode != before:
            self._mode = mode
            self._health.forget_timings()
        if before is not None and settings.track != before[1]:
            self._camera.reset()
        elif paused or mode != before:
            self._camera.pause()

    def _everything(
        self, frame: Frame, settings: FrameSettings, waited: float
    ) -> tuple[Masks, dict[int, str]]:
        limits = self.segmenter.thresholds().but(**settings.thresholds())
        answer = self._camera.everything if settings.track else self.segmenter.everything
        budget = self._latency_budget(settings.latency_budget_ms / 1e3, waited)
        masks = answer(frame, settings.top_n, limits, budget=budget)
        self._health.note("prompts_left_out", [budget.left_out if budget else 0])
        if budget is not None and budget.is_too_small:
            self._budget_is_too_small(settings.latency_budget_ms, (budget.needed + waited) * 1e3)
        return masks, dict.fromkeys(masks.object_ids.tolist(), "")

    def _prompted(
        self, frame: Frame, wanted: Sequence[StoredPrompt], track: bool
    ) -> tuple[Masks, dict[int, str]]:
        camera = self._camera
        prompts = self._usable(wanted, frame.size, camera.known if track else {})
        if not prompts:
            camera.reset()
            self._health.note("objects_lost", [])
            return self.segmenter.nothing(frame), {}
        if track:
            masks = camera.prompted(frame, prompts)
            self._health.note("objects_lost", camera.follower.lost)
        else:
            clipped = [replace(p.clipped(frame.size), object_id=i) for i, p in prompts.items()]
            masks = self.segmenter.decode(self.segmenter.embed(frame), clipped)
        self._health.count("prompts_answered", len(masks))
        return masks, {item.identity: item.name for item in wanted if item.identity in prompts}

    def _usable(
        self, wanted: Sequence[StoredPrompt], size: tuple[int, int], known: Mapping[int, Prompt]
    ) -> dict[int, Prompt]:
        """The prompts that fit this frame, by id, and those ``known`` from earlier ones, which have moved.

        The others are reported and dropped.
        """
        prompts = {}
        for item in wanted:
            try:
                if known.get(item.identity) is not item.prompt:
                    item.prompt.clipped(size)
                    self.segmenter.check(item.prompt)
                prompts[item.identity] = item.prompt
            except PromptError as error:
                self._report_error("bad_prompts", f"prompt dropped: {error}")
                self._drop(item)
        return prompts

    def _budget_is_too_small(self, allowed_ms: float, needed_ms: float) -> None:
        text = (
            f"latency_budget_ms is {allowed_ms:.0f}, but {FEWEST} prompts take {needed_ms:.0f} ms; raise it, "
            "or choose a faster backend or model"
        )
        self._health.warn("latency_budget", text)
        self._warn(text)

    def _latency_budget(self, seconds: float, waited: float) -> LatencyBudget | None:
        """What is left of ``seconds`` for a frame that has waited; None for no limit."""
        if seconds <= 0:
            self._budget = None
            return None
        left = max(0.0, seconds - waited)
        if self._budget is None:
            self._budget = LatencyBudget(left)
        self._budget.seconds = left
        return self._budget
