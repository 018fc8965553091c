# SPDX-License-Identifier: Apache-2.0
"""Identities on real sequences without labels: the frames forwards, and then backwards to where they began.

The last frame is the first one again, so its objects are known exactly: those that were found at the start.
What comes back with another id was switched; a followed prompt whose mask is not what it was has drifted.
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

#: Least mask IoU at which an object of the last frame is one of the first.
MATCH = 0.5
#: Best objects of a first frame whose boxes are given as prompts.
FOLLOWED = 8


def score_round_trips(
    segmenter: Segmenter, frames: Sequence[np.ndarray], reach: int, top_n: int
) -> dict[str, float]:
    """Trips of ``reach`` frames and back, one after the other through ``(H, W, 3)`` uint8 RGB frames.

    Returns:
        ``found`` the share of the first frame's objects that are found when it comes again, ``same_id`` the
        share of these that have their old id, ``followed_iou`` the mean IoU of followed boxes' masks with
        what they were, 0 for a lost one, ``lost`` the share of these; and the numbers of ``objects`` and
        ``trips``.

    Raises:
        ValueError: there are not ``reach + 1`` frames.
    """
    if len(frames) <= reach:
        raise ValueError(f"{len(frames)} frames; a trip of {reach} and back needs {reach + 1}")
    numbers: dict[str, list[float]] = defaultdict(list)
    starts = range(0, len(frames) - reach, reach)
    for start in tqdm(starts, desc=f"there and back, {reach} frames", unit="trip", mininterval=2):
        there = list(frames[start : start + reach + 1])
        trip = [Frame(image) for image in there + there[-2::-1]]
        _everything(TrackedCamera(segmenter), trip, top_n, numbers)
        _followed(TrackedCamera(segmenter), trip, top_n, numbers)
    objects = len(numbers["found"])
    means = {name: float(np.mean(values)) if values else float("nan") for name, values in numbers.items()}
    return {**means, "objects": objects, "trips": len(starts)}


def _everything(
    camera: TrackedCamera, trip: list[Frame], top_n: int, numbers: dict[str, list[float]]
) -> None:
    first, *_, last = [camera.everything(frame, top_n) for frame in trip]
    pairs = assign(mask_iou_matrix(first.full(), last.full()), MATCH)
    numbers["found"] += [1.0] * len(pairs) + [0.0] * (len(first) - len(pairs))
    numbers["same_id"] += [float(first.object_ids[a] == last.object_ids[b]) for a, b in pairs]


def _followed(camera: TrackedCamera, trip: list[Frame], top_n: int, numbers: dict[str, list[float]]) -> None:
    best = camera.segmenter.everything(trip[0], top_n).select(slice(FOLLOWED))
    prompts = {index + 1: Prompt(box=box) for index, box in enumerate(best.boxes)}
    if not prompts:
        return
    first, *_, last = [camera.prompted(frame, prompts) for frame in trip]
    answers = dict(zip(last.object_ids.tolist(), last.full(), strict=True))
    for identity, mask in zip(first.object_ids.tolist(), first.full(), strict=True):
        back = answers.get(identity)
        numbers["lost"].append(float(back is None))
        iou = 0.0 if back is None else float(mask_iou(mask, back))
        numbers["followed_iou"].append(iou)
