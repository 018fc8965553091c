# SPDX-License-Identifier: Apache-2.0
"""Implement everything mode: segment all objects of an image without external prompts.

As segment-anything keeps its automatic mask generator apart from its predictor, this is built on
:class:`~evitsam_ros.segment.segmenter.Segmenter` and uses only its three methods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .frame import Embedding, Frame
from .mask_filter import Thresholds, filter_masks
from .proposals import SHARE, covering_points, grid_prompts, suppress_duplicate_prompts
from .refinement import refine_masks
from .small_regions import clean_masks
from .timing import StageTimer, add_timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from .budget import LatencyBudget
    from .masks import Masks
    from .prompt import Prompt
    from .segmenter import Segmenter


@dataclass(frozen=True)
class GeneratorOptions:
    """Configure everything mode.

    Attributes:
        max_prompts: max number of prompts to decode.
        thresholds: which masks to keep; None: the bundle's own.
        points_per_side: decode a grid of so many points squared with the decoder itself, as SAM does, in
            place of proposals; None: proposals.
        foveal: see :meth:`~evitsam_ros.segment.segmenter.Segmenter.decode`.
        refine: decode kept masks again along their outlines, after a foveal decoding.
        budget: decode no more than there is time for; it learns from every frame.
    """

    max_prompts: int = 64
    thresholds: Thresholds | None = None
    points_per_side: int | None = None
    foveal: bool = True
    refine: bool = True
    budget: LatencyBudget | None = None


class MaskGenerator:
    """Generate the masks of all objects of an image.

    Proposals that overlap are decoded once; up to a quarter of the prompts are points between them. A point
    alone is ambiguous: all three masks of each compete.

    Args:
        segmenter: the predictor.
        options: the defaults if None.
    """

    def __init__(self, segmenter: Segmenter, options: GeneratorOptions | None = None) -> None:
        self.segmenter = segmenter
        self.options = options or GeneratorOptions()

    def generate(
        self,
        image: np.ndarray | Frame | Embedding,
        extra_prompts: Sequence[Prompt] = (),
        elapsed: float = 0.0,
    ) -> Masks:
        """Generate masks, best first, with ids from 1.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, a frame, or an embedding.
            extra_prompts: prompts that come before the proposals, as for objects known from the last frame.
            elapsed: seconds that the frame has taken already, beside its embedding; for the budget.

        Returns:
            Masks, and the seconds of this call by stage; an embedding that was given is not among these.

        Raises:
            ValueError: ``max_prompts`` is not 1 to 1024, or the image has another shape or type.
        """
        segmenter, options, timer = self.segmenter, self.options, self.segmenter.new_timer()
        given = isinstance(image, Embedding)
        embedding = image if isinstance(image, Embedding) else segmenter.embed(image)
        thresholds = options.thresholds or segmenter.thresholds()
        prompts = self._prompts(embedding, thresholds, extra_prompts, timer)
        if options.budget is not None:
            spent = elapsed + sum(embedding.timings.values()) + sum(timer.seconds.values())
            prompts = options.budget.cut(prompts, spent)
        decoded = segmenter.decode(
            embedding,
            prompts,
            multimask=any(prompt.box is None for prompt in prompts),
            foveal=options.foveal and options.points_per_side is None,
            min_score=thresholds.pred_iou_thresh,
            min_region=0.0,  # of the kept masks, below
        )
        masks = self._filter(embedding, decoded, thresholds, timer)
        if options.budget is not None:
            afterwards = timer.seconds["filter"] + timer.seconds.get("look again", 0.0)
            options.budget.learn(len(prompts), decoded.timings["decode"], afterwards)
        before = {} if given else embedding.timings
        return replace(masks, timings=add_timings(before, decoded.timings, timer.seconds))

    def _prompts(
        self, embedding: Embedding, thresholds: Thresholds, extra: Sequence[Prompt], timer: StageTimer
    ) -> list[Prompt]:
        """List the prompts to decode: the extra ones, proposals elsewhere, points where there are none."""
        options, bundle, size = self.options, self.segmenter.bundle, embedding.transform.size
        if options.points_per_side is not None:
            return grid_prompts(size, options.points_per_side)
        count, extra = options.max_prompts, list(extra)[: options.max_prompts]
        with timer.stage("propose"):
            proposed = self.segmenter.propose(embedding, count, thresholds.objectness_thresh)
        prompts = [*extra, *suppress_duplicate_prompts(proposed, extra, thresholds.proposal_nms_thresh)][
            :count
        ]
        if bundle.has_proposals and bundle.proposals_as == "points":
            spare = min(count - len(prompts), int(count * SHARE))
            prompts += covering_points(prompts, size, spare)
        return prompts

    def _filter(
        self, embedding: Embedding, decoded: Masks, thresholds: Thresholds, timer: StageTimer
    ) -> Masks:
        """Choose among the decoded masks, refine those that are kept, and clean them."""
        options = self.options
        with timer.stage("filter"):
            masks = filter_masks(decoded, thresholds)
        foveal = options.foveal and options.points_per_side is None and self.segmenter.bundle.has_foveal
        if foveal and options.refine:
            with timer.stage("look again"):
                masks = refine_masks(self.segmenter, embedding, masks)
        if thresholds.min_region > 0:
            with timer.stage("clean"):
                masks = replace(masks, logits=masks.logits.copy())
                clean_masks(masks.logits, masks.transform, thresholds.min_region)
        return masks
