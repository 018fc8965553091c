# SPDX-License-Identifier: Apache-2.0
"""A frame and what is asked of it -> masks, as the parameters say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..segment import Frame, LatencyBudget, Masks, Prompt, PromptError, Segmenter
from ..segment.budget import FEWEST
from ..tracking import TrackedCamera
from .health import Health
from .prompt_store import Prompted, PromptStore


class Answers:
    """The masks of one camera's frames, in their order. Used by the inference thread alone.

    Args:
        segmenter: shared by all cameras.
        prompts: what is asked for in prompt mode.
        parameter: the value of a parameter, now.
        refuse: told (kind, text) of prompts that do not fit.
        warn: logs a text.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        prompts: PromptStore,
        health: Health,
        parameter: Callable[[str], Any],
        refuse: Callable[[str, str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._camera = TrackedCamera(segmenter)
        self._prompts, self._health = prompts, health
        self._parameter, self._refuse, self._warn = parameter, refuse, warn
        self._mode: tuple[str, bool] | None = None
        self._budget: LatencyBudget | None = None

    @property
    def segmenter(self) -> Segmenter:
        return self._camera.segmenter

    @segmenter.setter
    def segmenter(self, segmenter: Segmenter) -> None:
        """Go on with another runtime, from the next frame on; objects keep their ids."""
        self._camera.segmenter = segmenter

    def masks(self, frame: Frame) -> tuple[Masks, dict[int, str]]:
        """The masks of a frame, and the names of their objects by id."""
        mode, track = self._parameter("mode"), self._parameter("track")
        if (mode, track) != self._mode:
            self._mode = mode, track
            self._health.forget_timings()
            self._camera.reset()
        return self._everything(frame, track) if mode == "everything" else self._prompted(frame, track)

    def _everything(self, frame: Frame, track: bool) -> tuple[Masks, dict[int, str]]:
        limits = self.segmenter.thresholds().but(**self._thresholds())
        answer = self._camera.everything if track else self.segmenter.everything
        budget = self._latency_budget()
        masks = answer(frame, self._parameter("top_n"), limits, budget=budget)
        self._health.note("prompts_left_out", [budget.left_out if budget else 0])
        if budget is not None and budget.is_too_small:
            self._budget_is_too_small(budget)
        return masks, dict.fromkeys(masks.object_ids.tolist(), "")

    def _prompted(self, frame: Frame, track: bool) -> tuple[Masks, dict[int, str]]:
        camera = self._camera
        wanted = self._prompts.all()
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
        self, wanted: list[Prompted], size: tuple[int, int], known: Mapping[int, Prompt]
    ) -> dict[int, Prompt]:
        """The prompts that fit this frame, by id, and those ``known`` from earlier ones, which have moved.

        The others are reported and dropped.
        """
        prompts = {}
        for item in wanted:
            try:
                if known.get(item.identity) is not item.prompt:
                    item.prompt.clipped(size)
                prompts[item.identity] = item.prompt
            except PromptError as error:
                self._refuse("bad_prompts", f"prompt dropped: {error}")
                self._prompts.drop(item)
        return prompts

    def _latency_budget(self) -> LatencyBudget | None:
        seconds = self._parameter("latency_budget_ms") / 1e3
        if seconds <= 0:
            self._budget = None
        elif self._budget is None:
            self._budget = LatencyBudget(seconds)
        else:
            self._budget.seconds = seconds
        return self._budget

    def _budget_is_too_small(self, budget: LatencyBudget) -> None:
        text = (
            f"latency_budget_ms is {budget.seconds * 1e3:.0f}, but a frame of {FEWEST} prompts takes "
            f"{budget.needed * 1e3:.0f} ms; raise it, or choose a faster backend or model"
        )
        self._health.warn("latency_budget", text)
        self._warn(text)

    def _thresholds(self) -> dict[str, float | None]:
        names = {"score": "score_threshold", "stability": "stability_threshold", "nms": "nms_threshold"}
        found = {key: self._parameter(name) for key, name in names.items()}
        return {key: value if value >= 0 else None for key, value in found.items()}
