# SPDX-License-Identifier: Apache-2.0
"""A latency budget while another process takes a core: masks of a still image stay."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from evitsam_ros.segment import Frame, LatencyBudget, Masks, Segmenter
from evitsam_ros.tracking import TrackedCamera

PROMPTS = 96


@contextmanager
def core_taken() -> Iterator[None]:
    """A process that computes without a pause."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def pixels_of(masks: Masks) -> np.ndarray:
    """``(M, cells)`` bool."""
    return (masks.unpadded_logits > 0).reshape(len(masks), -1)


def share_that_stays(before: Masks, after: Masks) -> float:
    """The share of the masks of a frame that the next one has, by pixels and by id."""
    first, second = pixels_of(before).astype(np.float32), pixels_of(after).astype(np.float32)
    both = first @ second.T
    iou = both / (first.sum(1)[:, None] + second.sum(1) - both)
    same_id = before.object_ids[:, None] == after.object_ids
    return float(((iou >= 0.5) & same_id).any(1).mean()) if len(before) else 1.0


@pytest.fixture(scope="module")
def frames(photograph) -> list[tuple[Masks, int, int]]:
    """Masks, prompts that were left out and prompts: of a still image, a core taken from the sixth on."""
    segmenter, frame = Segmenter.open("lite_sam", "onnxruntime", 2), Frame(photograph)
    segmenter.everything(frame, PROMPTS)
    start = time.perf_counter()
    segmenter.everything(frame, PROMPTS)
    budget = LatencyBudget(1.2 * (time.perf_counter() - start), min_prompts=8)
    camera, found = TrackedCamera(segmenter), []

    def run(count: int) -> None:
        for _ in range(count):
            masks = camera.everything(frame, PROMPTS, budget=budget)
            found.append((masks, budget.left_out, budget.prompts))

    run(5)
    with core_taken():
        run(8)
    run(3)
    segmenter.close()
    return found


def test_four_fifths_of_the_masks_are_in_the_next_frame(frames):
    masks = [each for each, _, _ in frames]
    shares = [share_that_stays(a, b) for a, b in pairwise(masks)]
    print("masks", [len(each) for each in masks], "left out", [left for _, left, _ in frames])
    print("share", [round(share, 2) for share in shares])
    assert min(shares) >= 0.8
    assert min(len(each) for each in masks) > 3


def test_the_budget_left_prompts_out(frames):
    """Otherwise the frames prove nothing."""
    assert any(left for _, left, _ in frames)
    assert all(left < total for _, left, total in frames)
