# SPDX-License-Identifier: Apache-2.0
"""Score a bundle against human masks.

``python -m training.evaluate --model lite_sam --data DATA --on coco_val``:

GT-box mIoU, k-click mIoU, and the baselines that need no network, through the same code.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from evitsam_ros.segment import Embedding, Prompt, Segmenter

from .annotations import Record, read_folder
from .baselines import BASELINES
from .metrics import central_point, mask_iou, next_click, size_group

GROUPS = ("all", "small", "medium", "large")


class Score:
    """IoUs by method and size group."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, method: str, iou: float, area: float) -> None:
        self.values[method]["all"].append(iou)
        self.values[method][size_group(area)].append(iou)

    def means(self) -> dict[str, dict[str, float]]:
        return {
            method: {group: float(np.mean(groups[group])) for group in GROUPS if groups[group]}
            for method, groups in self.values.items()
        }


def score_boxes(
    segmenter: Segmenter, embedding: Embedding, record: Record, truths: list, score: Score
) -> None:
    """One mask for each ground-truth box: the best of three by predicted IoU, and by the truth."""
    prompts = [Prompt(box=box) for box in record.boxes]
    masks = segmenter.decode(embedding, prompts, multimask=True)
    full = masks.full().reshape(len(prompts), 3, *masks.image_size)
    ranked = masks.scores.reshape(-1, 3).argmax(1)
    for candidates, first, truth in zip(full, ranked, truths, strict=True):
        ious = [mask_iou(candidate, truth) for candidate in candidates]
        score.add("GT box", ious[first], truth.sum())
        score.add("GT box, best of 3", max(ious), truth.sum())


def score_clicks(
    segmenter: Segmenter, embedding: Embedding, truths: list, clicks: tuple[int, ...], score: Score
) -> None:
    """SAM's protocol: the most central point first, then the most central point of the larger error."""
    for truth in truths:
        points, labels = [central_point(truth)], [1]
        for count in range(1, max(clicks) + 1):
            masks = segmenter.decode(embedding, [Prompt(points=points, labels=labels)])
            prediction = masks.full()[0]
            if count in clicks:
                score.add(f"{count} click" + "s" * (count > 1), mask_iou(prediction, truth), truth.sum())
            following = next_click(truth, prediction)
            if following is not None:
                points.append(following[0])
                labels.append(following[1])


def evaluate(
    segmenter: Segmenter | None, records: list[Record], clicks: tuple[int, ...], baselines: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Mean IoU by method and size group over all masks of all records."""
    score = Score()
    for record in tqdm(records, desc="evaluate", unit="image", mininterval=2):
        image = record.read_image()
        truths = [record.read_mask(index).astype(bool) for index in range(len(record.rles))]
        for name in baselines:
            for box, truth in zip(record.boxes, truths, strict=True):
                score.add(name, mask_iou(BASELINES[name](image, box), truth), truth.sum())
        if segmenter is None:
            continue
        embedding = segmenter.embed(image)
        score_boxes(segmenter, embedding, record, truths, score)
        if clicks:
            score_clicks(segmenter, embedding, truths, clicks, score)
    return score.means()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a bundle's name or folder; without one, baselines only")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    parser.add_argument("--on", nargs="+", default=["coco_val"], help="annotation files, without .json")
    parser.add_argument("--clicks", type=int, nargs="*", default=[1, 3, 5])
    parser.add_argument("--baselines", nargs="*", default=[], choices=sorted(BASELINES))
    parser.add_argument("--limit", type=int, help="only the first so many pictures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    segmenter = Segmenter.open(options.model, options.backend) if options.model else None
    report = {}
    for name in options.on:
        records = read_folder(options.data, [name])[: options.limit]
        report[name] = evaluate(segmenter, records, tuple(options.clicks), tuple(options.baselines))
        print(f"{name}: {len(records)} pictures, {sum(len(r.rles) for r in records)} masks, mean IoU")
        print(f"{'':24}" + "".join(f"{group:>9}" for group in GROUPS))
        for method, groups in report[name].items():
            cells = "".join(f"{groups[group]:9.3f}" if group in groups else f"{'-':>9}" for group in GROUPS)
            print(f"{method:24}{cells}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
