# SPDX-License-Identifier: Apache-2.0
"""Compare everything mode with other implementations, and one prompt with its lower bound, in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..backends import BackendError
from ..models.specs import model_spec
from ..segment import Embedding, Masks, Prompt, Segmenter, Thresholds
from ..segment.mask_filter import box_nms
from ..segment.proposals import grid_prompts
from .measurements import MORE, Figure, Suite, ratio_of
from .peak_rates import PeakRates, cpus
from .statistics import seconds

if TYPE_CHECKING:
    from collections.abc import Callable

FOVEAL_GRID = "grid 32x32, foveal"
BOX, LOWER_BOUND, BFLOAT16 = "image -> box mask", "matrix product of its multiply-adds", ", bfloat16"
#: Variants with a lower bound; the other ratios compare variants.
BOUNDED = (BOX, BOX + BFLOAT16)
RATIOS = (
    ("grid 32x32, as segment-anything", "AutoPPN, 256 prompts"),
    ("grid 32x32, ours", "AutoPPN, 256 prompts"),
    (FOVEAL_GRID, "AutoPPN, 256 prompts"),
    ("AutoPPN, 256 prompts, whole image", "AutoPPN, 256 prompts"),
    ("grid 32x32, as segment-anything", "AutoPPN, 256 prompts" + BFLOAT16),
    (BOX, LOWER_BOUND),
    (BOX + BFLOAT16, LOWER_BOUND),
)


def segment_anything_grid(
    segmenter: Segmenter, embedding: Embedding, side: int, thresholds: Thresholds | None = None
) -> int:
    """Segment a grid of ``side`` x ``side`` points as SAM's mask generator does.

    Every mask is resized to the image before it is filtered: by score, stability and box, then by NMS.
    Networks and runtime are the same as in our implementation.

    Returns:
        The number of masks.
    """
    thresholds = thresholds or segmenter.thresholds()
    prompts = grid_prompts(embedding.transform.size, side)
    boxes, scores = [], []
    for start in range(0, len(prompts), 64):
        masks = segmenter.decode(embedding, prompts[start : start + 64], multimask=True)
        for logits, score in zip(_full_size(masks), masks.scores, strict=True):
            inner, outer = int(np.count_nonzero(logits > 1.0)), int(np.count_nonzero(logits > -1.0))
            stable = inner >= thresholds.stability_score_thresh * max(outer, 1)
            if score < thresholds.pred_iou_thresh or not stable:
                continue
            mask = logits > 0
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows) and mask.sum() >= thresholds.min_area:
                boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                scores.append(score)
    if not boxes:
        return 0
    return len(box_nms(np.array(boxes, np.float32), np.array(scores), thresholds.box_nms_thresh))


def _full_size(masks: Masks):
    """Yield ``(H, W)`` float32 logits of each mask."""
    rows, columns = masks.transform.image_cells
    height, width = masks.image_size
    for logits in masks.logits:
        seen = logits[: int(np.ceil(rows)), : int(np.ceil(columns))]
        yield cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)


def _variants(segmenter: Segmenter, image: np.ndarray, suffix: str = "") -> dict[str, Callable[[], object]]:
    """Return the calls that a robot waits for, by name."""
    height, width = image.shape[:2]
    box = [Prompt.parse(box=(0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height))]
    click = [Prompt.parse(points=[(0.5 * width, 0.5 * height)], labels=[1])]
    embedding = segmenter.embed(image)
    variants = {
        "AutoPPN, 256 prompts": lambda: segmenter.everything(image, 256),
        "AutoPPN, 64 prompts": lambda: segmenter.everything(image, 64),
        BOX: lambda: segmenter.decode(segmenter.embed(image), box).full(),
        "click on an embedded frame": lambda: segmenter.decode(embedding, click).full(),
    }
    return {name + suffix: variant for name, variant in variants.items()}


def measure_everything(
    segmenter: Segmenter,
    image: np.ndarray,
    rounds: int,
    macs: float,
    *,
    grids: bool = True,
    slow_every: int = 1,
) -> dict[str, list[float]]:
    """Measure the seconds of every variant in each of its rounds. The variants are interleaved.

    Args:
        segmenter: the segmenter to measure.
        image: ``(H, W, 3)`` uint8 RGB.
        rounds: measured rounds, after a warm-up.
        macs: multiply-adds of the encoder, for the lower bound.
        grids: measure the grids, each of which takes longer than all other variants together.
        slow_every: measure the grids, and proposals decoded on the full image, in every n-th round from the
            first on.
    """
    whole: dict[str, Callable[[], object]] = {
        "AutoPPN, 256 prompts, whole image": lambda: segmenter.everything(image, 256, foveal=False)
    }
    variants, slow = _variants(segmenter, image), dict(whole)
    if grids:
        points = grid_prompts(image.shape[:2], 32)
        slow |= {
            FOVEAL_GRID: lambda: segmenter.everything(image, len(points), extra_prompts=points),
            "grid 32x32, ours": lambda: segmenter.everything(image, points_per_side=32),
            "grid 32x32, as segment-anything": lambda: segment_anything_grid(
                segmenter, segmenter.embed(image), 32
            ),
        }
    try:
        variants |= _variants(Segmenter.open(segmenter.bundle.folder, "openvino_bf16"), image, BFLOAT16)
    except BackendError as error:
        print(f"without bfloat16: {error}")
    times: dict[str, list[float]] = {name: [] for name in [*variants, *slow, LOWER_BOUND]}
    for variant in (variants | whole).values():  # warm up; the grids run the same networks as whole images
        variant()
    with PeakRates(cpus()) as peak_rates:
        for number in range(rounds):
            due = variants | slow if number % slow_every == 0 else variants
            for name, variant in due.items():
                times[name].append(seconds(variant))
            peak_rates.measure()
    times[LOWER_BOUND] = [macs / rate for rate in peak_rates.macs_per_s]
    return times


def everything_suite(
    segmenter: Segmenter, image: np.ndarray, rounds: int, *, grids: bool = True, slow_every: int = 1
) -> Suite:
    """Measure everything mode; see :func:`measure_everything` for the arguments."""
    suite = Suite()
    # Decoding one prompt adds about 5 % to the work of the encoder, which the lower bound omits.
    macs = model_spec(segmenter.bundle.name).macs
    times = measure_everything(segmenter, image, rounds, macs, grids=grids, slow_every=slow_every)
    for variant, taken in times.items():
        milliseconds = [1e3 * s for s in taken]
        lower_bound = [1e3 * s for s in times[LOWER_BOUND]] if variant in BOUNDED else []
        suite.add(Figure(f"everything/{variant}", variant, "ms", milliseconds, lower_bound, LOWER_BOUND))
    for above, below in RATIOS:
        if above in times and below in times and below != LOWER_BOUND:
            key, title = f"everything/{above}: {below}", f"{above} / {below}"
            same_rounds = times[below][::slow_every]
            suite.ratios.append(ratio_of(key, title, times[above], same_rounds, MORE))
    suite.notes.append(f"everything: {segmenter.description}")
    return suite
