# SPDX-License-Identifier: Apache-2.0
"""Everything mode against the ways it is done elsewhere, one prompt against its floor: ratios of one run."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..segment import Embedding, Masks, Prompt, Segmenter, Thresholds
from ..segment.everything import box_nms, grid_prompts

#: Side of the square matrices of the floor's product.
PRODUCT = 2048


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
            inner, outer = np.count_nonzero(logits > 1.0), np.count_nonzero(logits > -1.0)
            if score < thresholds.score or inner < thresholds.stability * max(outer, 1):
                continue
            mask = logits > 0
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows) and mask.sum() >= thresholds.min_area:
                boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
                scores.append(score)
    if not boxes:
        return 0
    return len(box_nms(np.array(boxes, np.float32), np.array(scores), thresholds.nms))


def _full_size(masks: Masks):
    """``(H, W)`` float32 logits of each mask."""
    rows, columns = masks.transform.picture
    height, width = masks.image_size
    for logits in masks.logits:
        seen = logits[: int(np.ceil(rows)), : int(np.ceil(columns))]
        yield cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR)


def floor_seconds(macs: float, repeats: int = 5) -> float:
    """What a matrix product of so many multiply-adds takes on this machine (NumPy's BLAS, float32)."""
    a = np.random.default_rng(0).standard_normal((PRODUCT, PRODUCT), np.float32)
    times = [_seconds(lambda: a @ a) for _ in range(repeats)]
    return min(times) / PRODUCT**3 * macs


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bench_everything(
    model: str, image: np.ndarray, repeats: int, slow_repeats: int, macs: float, out: Path | None
) -> int:
    """Print the table, and write it as JSON where asked.

    Args:
        model: a bundle's name or folder.
        image: ``(H, W, 3)`` uint8 RGB.
        repeats: of what is fast; ``slow_repeats`` of the grids.
        macs: multiply-adds of encoder and one prompt, for the floor.
    """
    segmenter = Segmenter.open(model)
    embedding = segmenter.embed(image)
    height, width = image.shape[:2]
    box = [Prompt(box=(0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height))]
    click = [Prompt(points=[(0.5 * width, 0.5 * height)], labels=[1])]
    cases: dict[str, tuple[Callable[[], object], int]] = {
        "AutoPPN, 256 prompts": (lambda: segmenter.everything(image, 256), repeats),
        "AutoPPN, 64 prompts": (lambda: segmenter.everything(image, 64), repeats),
        "grid 32x32, ours": (lambda: segmenter.everything(image, grid=32), slow_repeats),
        "grid 32x32, as segment-anything": (
            lambda: segment_anythings_way(segmenter, segmenter.embed(image), 32),
            slow_repeats,
        ),
        "image -> box mask": (lambda: segmenter.decode(segmenter.embed(image), box).full(), repeats),
        "click on an embedded frame": (lambda: segmenter.decode(embedding, click).full(), repeats),
    }
    rows = {}
    for name, (work, count) in cases.items():
        work()
        times = sorted(_seconds(work) for _ in range(count))
        rows[name] = {
            "seconds": statistics.median(times),
            "least": times[0],
            "most": times[-1],
            "runs": count,
        }
    rows["floor of image -> box mask"] = {"seconds": floor_seconds(macs), "runs": 5}
    print(segmenter.description)
    for name, row in rows.items():
        spread = f"  [{row['least'] * 1e3:.0f}, {row['most'] * 1e3:.0f}]" if "least" in row else ""
        print(f"{name:34} {row['seconds'] * 1e3:9.1f} ms{spread}  ({row['runs']} runs)")
    ratios = {
        "as segment-anything / AutoPPN 256": ("grid 32x32, as segment-anything", "AutoPPN, 256 prompts"),
        "our grid / AutoPPN 256": ("grid 32x32, ours", "AutoPPN, 256 prompts"),
        "image -> box mask / floor": ("image -> box mask", "floor of image -> box mask"),
    }
    for name, (above, below) in ratios.items():
        print(f"{name:34} {rows[above]['seconds'] / rows[below]['seconds']:9.2f}")
    if out:
        out.write_text(json.dumps({"model": segmenter.bundle.name, "rows": rows}, indent=2))
    return 0
