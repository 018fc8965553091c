# SPDX-License-Identifier: Apache-2.0
"""Everything mode against the ways it is done elsewhere, one prompt against its floor: ratios of one run."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ..backends import BackendError
from ..models.specs import model_spec
from ..segment import Embedding, Masks, Prompt, Segmenter, Thresholds
from ..segment.mask_filter import box_nms
from ..segment.proposals import grid_prompts
from .ceilings import Ceilings, cpus
from .clock import seconds
from .measurements import MORE, Figure, Part, ratio_of

FOVEAL_GRID = "grid 32x32, foveal"
BOX, FLOOR, BFLOAT16 = "image -> box mask", "matrix product of its multiply-adds", ", bfloat16"
#: Variants that are compared with their floor; the other ratios compare variants.
FLOORED = (BOX, BOX + BFLOAT16)
RATIOS = (
    ("grid 32x32, as segment-anything", "AutoPPN, 256 prompts"),
    ("grid 32x32, ours", "AutoPPN, 256 prompts"),
    (FOVEAL_GRID, "AutoPPN, 256 prompts"),
    ("AutoPPN, 256 prompts, whole image", "AutoPPN, 256 prompts"),
    ("grid 32x32, as segment-anything", "AutoPPN, 256 prompts" + BFLOAT16),
    (BOX, FLOOR),
    (BOX + BFLOAT16, FLOOR),
)


def segment_anythings_way(
    segmenter: Segmenter, embedding: Embedding, side: int, thresholds: Thresholds | None = None
) -> int:
    """A grid of ``side`` x ``side`` points as SAM's mask generator does it; the number of masks kept.

    Every mask is brought to the picture's size before it is looked at: scores, stability and boxes there,
    then NMS. Networks and runtime are those of our way.
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
    """``(H, W)`` float32 logits of each mask."""
    rows, columns = masks.transform.image_cells
    height, width = masks.image_size
    for logits in masks.logits:
        seen = logits[: int(np.ceil(rows)), : int(np.ceil(columns))]
        yield cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)


def _ways(segmenter: Segmenter, image: np.ndarray, suffix: str = "") -> dict[str, Callable[[], object]]:
    """What a robot waits for."""
    height, width = image.shape[:2]
    box = [Prompt.parse(box=(0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height))]
    click = [Prompt.parse(points=[(0.5 * width, 0.5 * height)], labels=[1])]
    embedding = segmenter.embed(image)
    ways = {
        "AutoPPN, 256 prompts": lambda: segmenter.everything(image, 256),
        "AutoPPN, 64 prompts": lambda: segmenter.everything(image, 64),
        BOX: lambda: segmenter.decode(segmenter.embed(image), box).full(),
        "click on an embedded frame": lambda: segmenter.decode(embedding, click).full(),
    }
    return {name + suffix: way for name, way in ways.items()}


def measure_everything(
    segmenter: Segmenter,
    image: np.ndarray,
    repeats: int,
    macs: float,
    grids: bool = True,
    slow_every: int = 1,
) -> dict[str, list[float]]:
    """Seconds of every way in its turns. The ways take turns: all see the same machine.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        repeats: turns, after one that warms up.
        macs: multiply-adds of the encoder, for the floor.
        grids: with the grids, each of which takes longer than all other ways together.
        slow_every: grids, and proposals decoded on the whole image, have every so manyth turn only, from the
            first on.
    """
    whole: dict[str, Callable[[], object]] = {
        "AutoPPN, 256 prompts, whole image": lambda: segmenter.everything(image, 256, foveal=False)
    }
    ways, slow = _ways(segmenter, image), dict(whole)
    if grids:
        points = grid_prompts(image.shape[:2], 32)
        slow |= {
            FOVEAL_GRID: lambda: segmenter.everything(image, len(points), extra_prompts=points),
            "grid 32x32, ours": lambda: segmenter.everything(image, points_per_side=32),
            "grid 32x32, as segment-anything": lambda: segment_anythings_way(
                segmenter, segmenter.embed(image), 32
            ),
        }
    try:
        ways |= _ways(Segmenter.open(segmenter.bundle.folder, "openvino_bf16"), image, BFLOAT16)
    except BackendError as error:
        print(f"without bfloat16: {error}")
    times: dict[str, list[float]] = {name: [] for name in [*ways, *slow, FLOOR]}
    for way in (ways | whole).values():  # warm up; the grids decode what whole images do
        way()
    with Ceilings(cpus()) as ceilings:
        for turn in range(repeats):
            taking_part = ways | slow if turn % slow_every == 0 else ways
            for name, way in taking_part.items():
                times[name].append(seconds(way))
            ceilings.measure()
    times[FLOOR] = [macs / rate for rate in ceilings.macs_per_s]
    return times


def everything_part(
    segmenter: Segmenter, image: np.ndarray, turns: int, grids: bool = True, slow_every: int = 1
) -> Part:
    """Measure everything mode; see :func:`measure_everything` for the arguments."""
    part = Part()
    # Decoding one prompt adds about 5 % to the work of the encoder; the floor leaves it out.
    macs = model_spec(segmenter.bundle.name).macs
    times = measure_everything(segmenter, image, turns, macs, grids, slow_every)
    for variant, taken in times.items():
        milliseconds = [1e3 * s for s in taken]
        floor = [1e3 * s for s in times[FLOOR]] if variant in FLOORED else []
        part.add(Figure(f"everything/{variant}", variant, "ms", milliseconds, floor, FLOOR))
    for above, below in RATIOS:
        if above in times and below in times and below != FLOOR:
            key, title = f"everything/{above}: {below}", f"{above} / {below}"
            same_turns = times[below][::slow_every]
            part.ratios.append(ratio_of(key, title, times[above], same_turns, MORE))
    part.notes.append(f"everything: {segmenter.description}")
    return part
