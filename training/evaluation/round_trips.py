# SPDX-License-Identifier: Apache-2.0
"""Score ids on real sequences without labels, played forwards and then backwards.

The last frame equals the first one, so its objects are known exactly: those found at the start. An object
with another id has switched; a followed prompt with another mask has drifted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from evitsam_ros.segment import Frame, Prompt, Segmenter
from evitsam_ros.segment.iou import mask_iou, mask_iou_matrix
from evitsam_ros.tracking import TrackedCamera
from evitsam_ros.tracking.association import assign

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Min mask IoU that matches an object of the last frame with one of the first.
MATCH = 0.5
#: Number of the best objects of a first frame that are followed by their boxes.
FOLLOWED = 8


def score_round_trips(
    segmenter: Segmenter, frames: Sequence[np.ndarray], reach: int, max_prompts: int
) -> dict[str, float]:
    """Score trips of ``reach`` frames and back, one after the other through ``(H, W, 3)`` uint8 RGB frames.

    Returns:
        ``found`` the share of the first frame's objects that are found when it returns, ``same_id`` the share
        of these with the same id, ``followed_iou`` the mean IoU of followed boxes' masks with the initial
        ones, 0 for a lost one, ``lost`` the share of these; and the numbers of ``objects`` and ``trips``.

    Raises:
        ValueError: there are fewer than ``reach + 1`` frames.
    """
    if len(frames) <= reach:
        raise ValueError(f"{len(frames)} frames; a trip of {reach} and back needs {reach + 1}")
    numbers: dict[str, list[float]] = defaultdict(list)
    starts = range(0, len(frames) - reach, reach)
    for start in tqdm(starts, desc=f"round trips of {reach} frames", unit="trip", mininterval=2):
        there = list(frames[start : start + reach + 1])
        trip = [Frame(image) for image in there + there[-2::-1]]
        _everything(TrackedCamera(segmenter), trip, max_prompts, numbers)
        _followed(TrackedCamera(segmenter), trip, max_prompts, numbers)
    objects = len(numbers["found"])
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in numbers.items()}
    return {**means, "objects": objects, "trips": len(starts)}


def _everything(
    camera: TrackedCamera, trip: list[Frame], max_prompts: int, numbers: dict[str, list[float]]
) -> None:
    first, *_, last = [camera.everything(frame, max_prompts) for frame in trip]
    pairs = assign(mask_iou_matrix(first.full(), last.full()), MATCH)
    numbers["found"] += [1.0] * len(pairs) + [0.0] * (len(first) - len(pairs))
    numbers["same_id"] += [float(first.object_ids[a] == last.object_ids[b]) for a, b in pairs]


def _followed(
    camera: TrackedCamera, trip: list[Frame], max_prompts: int, numbers: dict[str, list[float]]
) -> None:
    best = camera.segmenter.everything(trip[0], max_prompts).select(slice(FOLLOWED))
    prompts = {index + 1: Prompt(box=box) for index, box in enumerate(best.boxes)}
    if not prompts:
        return
    first, *_, last = [camera.prompted(frame, prompts) for frame in trip]
    masks_by_id = dict(zip(last.object_ids.tolist(), last.full(), strict=True))
    for identity, mask in zip(first.object_ids.tolist(), first.full(), strict=True):
        returned = masks_by_id.get(identity)
        numbers["lost"].append(float(returned is None))
        iou = 0.0 if returned is None else float(mask_iou(mask, returned))
        numbers["followed_iou"].append(iou)
