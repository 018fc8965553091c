# SPDX-License-Identifier: Apache-2.0
"""Segment the frames of one camera as the parameters ask: prompts or everything, tracked or not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..segment import (
    CloserLooks,
    Embedding,
    Frame,
    LatencyBudget,
    Masks,
    Prompt,
    PromptError,
    Segmenter,
    Thresholds,
    look_closer,
)
from ..segment.combine import beside, with_other_ids
from ..segment.timing import add_timings
from ..tracking import TrackedCamera, TrackOptions
from ..tracking.tracker import LAST_ID
from .budget_report import report_budget
from .camera_context import CameraContext
from .continuity import Continuity
from .frame_request import FrameRequest
from .mask_names import MaskNames
from .parameters import SegmenterParameters
from .prompt_updates import StoredPrompt


class FrameSegmenter:
    """Make the masks of one camera's frames, in their order. Used by the inference thread.

    Args:
        segmenter: shared by all cameras.
        context: of the camera; prompts that do not fit their image are dropped from it and reported.
        mask_names: names the masks by their class.
        max_id: largest id of everything mode.
    """

    def __init__(
        self, segmenter: Segmenter, context: CameraContext, mask_names: MaskNames, max_id: int = LAST_ID
    ) -> None:
        self._mask_names = mask_names
        self._camera = TrackedCamera(segmenter, TrackOptions(max_id=max_id))
        self._context, self._diagnostics = context, context.diagnostics
        self._continuity = Continuity()
        #: Mode and tracking of the last frame.
        self._last_mode: tuple[str, bool] | None = None
        self._budget: LatencyBudget | None = None
        self._closer = CloserLooks(0)
        self._forgets = False
        #: The last frame of everything mode had clicked objects.
        self._has_clicked = False

    def use(self, segmenter: Segmenter) -> None:
        """Use another runtime from the next frame on; objects keep their ids."""
        self._camera.segmenter = segmenter

    def forget_objects(self) -> None:
        """Drop all tracked objects before the next frame. Called by any thread."""
        self._forgets = True

    @property
    def segmenter(self) -> Segmenter:
        """Return the networks that are used now."""
        return self._camera.segmenter

    def segment(
        self,
        frame: Frame,
        embedding: Embedding | None,
        prompts: Sequence[StoredPrompt],
        parameters: SegmenterParameters,
        request: FrameRequest,
    ) -> tuple[Masks, dict[int, str]]:
        """Return the masks of a frame, none of them empty, and the names of their objects by id.

        The masks' timings have the stage ``encode`` if the networks have run.

        Args:
            frame: the camera's next one.
            embedding: of the frame, where it was encoded before.
            prompts: the prompted objects; in everything mode those of clicks.
            parameters: at the beginning of the work.
            request: when the frame was received, and in which session.
        """
        self._reset_motion(parameters, frame.stamp or request.received, request.session)
        segmenter = self._camera.segmenter
        limits = segmenter.thresholds().replace(**parameters.thresholds())
        segmenter.min_region = limits.min_region
        waited = time.monotonic() - request.received
        if parameters.mode == "everything":
            masks, names = self._everything(frame, embedding, prompts, parameters, limits, waited)
        else:
            masks, names = self._prompted(frame, embedding, prompts, parameters, waited)
        is_filled = masks.areas > 0
        self._diagnostics.count("empty_masks", int((~is_filled).sum()))
        masks = masks if is_filled.all() else masks.select(is_filled)
        return self._mask_names.add(frame, masks, names)

    def _reset_motion(self, parameters: SegmenterParameters, stamp: float, session: int) -> None:
        """Forget how objects moved where that is unknown: after a pause, and in another mode."""
        mode, last = (parameters.mode, parameters.enable_tracking), self._last_mode
        has_paused = self._continuity.is_broken(stamp, session)
        if mode != last:
            self._last_mode = mode
            self._diagnostics.forget_timings()
        if self._forgets or (last is not None and parameters.enable_tracking != last[1]):
            self._forgets = False
            self._camera.reset()
        elif has_paused or mode != last:
            self._camera.pause()

    def _everything(
        self,
        frame: Frame,
        embedding: Embedding | None,
        stored: Sequence[StoredPrompt],
        parameters: SegmenterParameters,
        limits: Thresholds,
        waited: float,
    ) -> tuple[Masks, dict[int, str]]:
        track, count = parameters.enable_tracking, parameters.max_prompts
        if embedding is None:
            embedding = self._camera.segmenter.embed(frame)
        begin = time.monotonic()
        prompted, names = self._clicked(frame, embedding, stored, track=track)
        waited += time.monotonic() - begin
        budget = self._latency_budget(parameters, waited)
        taken = self._context.prompts.ids()
        if track:
            masks = self._camera.everything(
                frame, count, limits, budget=budget, embedding=embedding, reserved_ids=taken
            )
        else:
            found = self._camera.segmenter.everything(embedding, count, limits, budget=budget)
            masks = with_other_ids(found, taken)
        masks = _with_encoding(masks if prompted is None else beside(prompted, masks), embedding)
        self._context.prompts.avoid(masks.object_ids.tolist())
        if budget is None or parameters.latency_budget_s is None:
            self._diagnostics.note("prompts_left_out", [0])
        else:
            report_budget(self._context, budget, parameters.latency_budget_s, waited)
        return masks, dict.fromkeys(masks.object_ids.tolist(), "") | names

    def _clicked(
        self, frame: Frame, embedding: Embedding, stored: Sequence[StoredPrompt], *, track: bool
    ) -> tuple[Masks | None, dict[int, str]]:
        """Return the masks of objects that were clicked in everything mode, and their names by id."""
        if not stored and not self._has_clicked:
            return None, {}  # objects tracked in prompt mode stay as they are
        self._has_clicked = bool(stored)
        prompts = self._usable(stored, frame.size, self._camera.known if track else {})
        return self._decode(frame, embedding, prompts, track=track), _names(stored, prompts)

    def _prompted(
        self,
        frame: Frame,
        embedding: Embedding | None,
        stored: Sequence[StoredPrompt],
        parameters: SegmenterParameters,
        waited: float,
    ) -> tuple[Masks, dict[int, str]]:
        camera, track = self._camera, parameters.enable_tracking
        self._closer.count, self._closer.seconds = parameters.closer_looks, parameters.latency_budget_s
        self._context.prompts.avoid(())
        prompts = self._usable(stored, frame.size, camera.known if track else {})
        if not prompts:
            camera.reset()
            self._diagnostics.note("objects_lost", [])
            return camera.segmenter.empty_result(frame), {}
        if embedding is None:
            embedding = camera.segmenter.embed(frame)
        masks = self._decode(frame, embedding, prompts, self._closer, waited, track=track)
        self._diagnostics.note("closer_looks_left_out", [self._closer.left_out])
        return _with_encoding(masks, embedding), _names(stored, prompts)

    def _decode(
        self,
        frame: Frame,
        embedding: Embedding,
        prompts: Mapping[int, Prompt],
        closer: CloserLooks | None = None,
        waited: float = 0.0,
        *,
        track: bool,
    ) -> Masks:
        """Return the masks of prompted objects."""
        camera = self._camera
        if track:
            masks = camera.prompted(frame, prompts, embedding, closer, waited)
            self._diagnostics.note("objects_lost", camera.prompt_tracker.lost)
        else:
            clipped = [replace(p.clipped(frame.size), object_id=i) for i, p in prompts.items()]
            masks = camera.segmenter.decode(embedding, clipped)
            if closer is not None:
                spent = waited + sum(embedding.timings.values()) + sum(masks.timings.values())
                masks = look_closer(camera.segmenter, frame, masks, closer, spent)
        self._diagnostics.count("prompts_answered", len(masks))
        return masks

    def _usable(
        self, stored: Sequence[StoredPrompt], size: tuple[int, int], known: Mapping[int, Prompt]
    ) -> dict[int, Prompt]:
        """Return the prompts that fit this frame, by id, and those ``known`` from earlier ones, which moved.

        The others are reported and dropped.
        """
        prompts = {}
        for item in stored:
            try:
                if known.get(item.identity) is not item.prompt:
                    item.prompt.clipped(size)
                    self._camera.segmenter.check(item.prompt)
                prompts[item.identity] = item.prompt
            except PromptError as error:
                self._context.report_error("bad_prompts", f"prompt dropped: {error}")
                self._context.prompts.drop(item)
        return prompts

    def _latency_budget(self, parameters: SegmenterParameters, waited: float) -> LatencyBudget | None:
        """Return the rest of the budget for a frame that has waited; None for no limit."""
        if parameters.latency_budget_s is None:
            self._budget = None
            return None
        left = max(0.0, parameters.latency_budget_s - waited)
        if self._budget is None:
            self._budget = LatencyBudget(left)
        self._budget.seconds, self._budget.min_prompts = left, parameters.min_prompts
        self._budget.on_show = 0
        return self._budget


def _names(stored: Sequence[StoredPrompt], prompts: Mapping[int, Prompt]) -> dict[int, str]:
    """Return the names of those objects that are among ``prompts``, by id."""
    return {item.identity: item.name for item in stored if item.identity in prompts}


def _with_encoding(masks: Masks, embedding: Embedding) -> Masks:
    """Add the seconds that the embedding took to those of the masks."""
    return replace(masks, timings=add_timings(embedding.timings, masks.timings))
