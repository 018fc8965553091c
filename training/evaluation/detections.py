# SPDX-License-Identifier: Apache-2.0
"""A detector's boxes in, mask AP out (EfficientViT-SAM, table 4): COCO by pycocotools, LVIS by lvis."""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from evitsam_ros.segment import Prompt, Segmenter

COCO_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def segment_detections(
    segmenter: Segmenter, images: Path, names: dict[int, str], detections: list[dict]
) -> list[dict]:
    """Replace the boxes of COCO results (``image_id``, ``category_id``, ``bbox`` xywh, ``score``) by masks.

    Args:
        images: folder of the pictures.
        names: their files by image id.

    Raises:
        ValueError: a detection is not in this form, or its picture is missing.
    """
    by_image: dict[int, list[dict]] = defaultdict(list)
    for number, detection in enumerate(detections):
        if not {"image_id", "category_id", "bbox", "score"} <= set(detection):
            raise ValueError(f"detection {number}: expected image_id, category_id, bbox and score")
        by_image[detection["image_id"]].append(detection)
    results = []
    for image_id, found in tqdm(sorted(by_image.items()), desc="detections", unit="image", mininterval=2):
        image = cv2.imread(str(images / names[image_id])) if image_id in names else None
        if image is None:
            raise ValueError(f"detections name image {image_id}, which is not in {images}")
        boxes = np.array([d["bbox"] for d in found], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        size = image.shape[1], image.shape[0]
        boxes = np.clip(boxes, 0, [*size, *size])
        wide = (boxes[:, 2:] - boxes[:, :2] >= 1).all(1)
        found = [d for d, good in zip(found, wide, strict=True) if good]
        embedding = segmenter.embed(np.ascontiguousarray(image[..., ::-1]))
        masks = segmenter.decode(embedding, [Prompt(box=box) for box in boxes[wide]])
        for detection, rle in zip(found, masks.rle(), strict=True):
            same = {key: detection[key] for key in ("image_id", "category_id", "score")}
            results.append({**same, "segmentation": rle})
    return results


def coco_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """COCO's six numbers of masks, in 0..1."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.imgIds = sorted({result["image_id"] for result in results})
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_NAMES, map(float, evaluation.stats), strict=False))


def lvis_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """LVIS's numbers of masks (AP, by size and by frequency), in 0..1."""
    if not hasattr(np, "float"):
        np.float = float  # lvis 0.5.3 still names what numpy 1.24 removed
    try:
        from lvis import LVISEval
    except ImportError as error:
        raise ValueError("LVIS AP needs the lvis package: pip install --no-deps lvis matplotlib") from error
    evaluation = LVISEval(str(annotations), results, "segm")
    evaluation.run()
    return {name: float(value) for name, value in evaluation.get_results().items()}


def average_precision(
    segmenter: Segmenter, annotations: Path, images: Path, detections: Path, protocol: str
) -> dict[str, float]:
    """Segment a detector's boxes and score the masks by ``coco``'s or ``lvis``'s protocol."""
    try:
        found = json.loads(detections.read_text())
        entries = json.loads(annotations.read_text())["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{detections}, {annotations}: expected COCO results and instances ({error!r})"
        ) from error
    names = {e["id"]: e.get("file_name") or "/".join(e["coco_url"].split("/")[-2:]) for e in entries}
    results = segment_detections(segmenter, images, names, found)
    score = {"coco": coco_average_precision, "lvis": lvis_average_precision}[protocol]
    return score(annotations, results)
