# SPDX-License-Identifier: Apache-2.0
"""Score ids of everything mode and of followed prompts over moving images."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from evitsam_ros.segment import Frame, Masks, Prompt, Segmenter
from evitsam_ros.segment.iou import mask_iou, mask_iou_matrix
from evitsam_ros.tracking import TrackedCamera

from .motion import move_camera

if TYPE_CHECKING:
    from ..records import Record

#: Min mask IoU of a match with the object (MOTS, Voigtlaender et al., CVPR 2019).
MATCH = 0.5


def score_everything(
    segmenter: Segmenter, records: list[Record], frames: int, max_prompts: int, *, track: bool = True
) -> dict[str, float]:
    """Score everything mode by MOTS-style measures; ``track=False`` assigns new ids in every frame.

    Returns:
        motmetrics' ``idf1``, ``num_switches``, ``num_matches``, ``recall``, and the mean time of the
        tracking as a share of the frame's.
    """
    import motmetrics

    accumulators, shares = [], []
    for number, record in enumerate(tqdm(records, desc="tracking", unit="sequence", mininterval=2)):
        camera = TrackedCamera(segmenter)
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for view, truths in move_camera(record, frames, seed=number):
            start = time.perf_counter()
            masks = (
                camera.everything(Frame(view), max_prompts)
                if track
                else segmenter.everything(view, max_prompts)
            )
            shares.append(masks.timings.get("track", 0.0) / (time.perf_counter() - start))
            there = [index for index, truth in enumerate(truths) if truth.sum() >= 100]
            ious = (
                mask_iou_matrix(np.stack([truths[i] for i in there]), masks.full())
                if there
                else np.zeros((0, 0))
            )
            distances = np.where(ious >= MATCH, 1 - ious, np.nan)
            accumulator.update(there, masks.object_ids.tolist(), distances.reshape(len(there), len(masks)))
        accumulators.append(accumulator)
    names = ["idf1", "num_switches", "num_matches", "num_objects", "recall"]
    summary = motmetrics.metrics.create().compute_many(accumulators, metrics=names, generate_overall=True)
    overall = summary.loc["OVERALL"]
    return {**{name: float(overall[name]) for name in names}, "track_share": float(np.mean(shares))}


def score_followed(
    segmenter: Segmenter, records: list[Record], frames: int, kind: str, *, follow: bool = True
) -> dict[str, float]:
    """Score the mean IoU of objects that are prompted on the first view only.

    Args:
        segmenter: segmenter to score.
        records: images with masks of the objects.
        frames: number of views of each image.
        kind: ``box`` or ``point``.
        follow: False: the prompt stays at its pixels, as without tracking.

    Returns:
        Mean IoU on the first view, over the later ones while the object is in view, on the last, and the
        share of the views in which a visible object is reported as lost.
    """
    numbers: dict[str, list[float]] = defaultdict(list)
    for number, record in enumerate(tqdm(records, desc=f"following {kind}", unit="sequence", mininterval=2)):
        camera = TrackedCamera(segmenter)
        prompts: dict[int, Prompt] = {}
        for step, (view, truths) in enumerate(move_camera(record, frames, seed=number)):
            if step == 0:
                prompts = {i + 1: _prompt(record, i, t, kind) for i, t in enumerate(truths) if t.sum() >= 100}
            masks = camera.prompted(Frame(view), prompts) if follow else _still(segmenter, view, prompts)
            masks_by_id = dict(zip(masks.object_ids.tolist(), masks.full(), strict=True))
            for identity in prompts:
                truth = truths[identity - 1]
                if truth.sum() < 100:
                    continue
                iou = (
                    float(mask_iou(masks_by_id[identity] > 0, truth > 0)) if identity in masks_by_id else 0.0
                )
                numbers["first" if step == 0 else "later"].append(iou)
                if step:
                    numbers["absent"].append(float(identity not in masks_by_id))
                if step == frames - 1:
                    numbers["last"].append(iou)
    return {name: float(np.mean(values)) for name, values in numbers.items()}


def _prompt(record: Record, index: int, truth: np.ndarray, kind: str) -> Prompt:
    if kind == "box":
        return Prompt(box=record.boxes[index])
    rows, columns = np.nonzero(truth)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return Prompt.parse(points=[(columns[nearest] + 0.5, rows[nearest] + 0.5)], labels=[1])


def _still(segmenter: Segmenter, view: np.ndarray, prompts: dict[int, Prompt]) -> Masks:
    names = [replace(prompt, object_id=identity) for identity, prompt in prompts.items()]
    return segmenter.decode(segmenter.embed(view), names)
