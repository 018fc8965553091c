# SPDX-License-Identifier: Apache-2.0
"""Score mask AP of a detector's boxes (EfficientViT-SAM, tables 4, 5): COCO by pycocotools, LVIS by lvis."""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from evitsam_ros.segment import Embedding, Prompt, Segmenter
from evitsam_ros.segment.prompt import MAX_PROMPTS

from ..image_file import read_rgb
from .detector_files import Truth, read_detections

if TYPE_CHECKING:
    from pathlib import Path

COCO_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def segment_detections(
    segmenter: Segmenter,
    images: Path,
    truth: Truth,
    detections: list[dict],
    *,
    rate: bool = False,
) -> list[dict]:
    """Replace the boxes of COCO results (``image_id``, ``category_id``, ``bbox`` xywh, ``score``) by masks.

    A box of less than a pixel within its image has no mask and is dropped.

    Args:
        segmenter: decodes the boxes.
        images: folder of the images.
        truth: their files and sizes by image id.
        detections: COCO results.
        rate: use the mask's predicted IoU as the score, not the box's score.

    Raises:
        ValueError: a detection is not in this form, or its image is missing, damaged, or of another size than
            the annotations say.
    """
    by_image: dict[int, list[dict]] = defaultdict(list)
    for number, detection in enumerate(detections):
        if not {"image_id", "category_id", "bbox", "score"} <= set(detection):
            raise ValueError(f"detection {number}: expected image_id, category_id, bbox and score")
        by_image[detection["image_id"]].append(detection)
    results = []
    for image_id, found in tqdm(by_image.items(), desc="detections", unit="image", mininterval=2):
        image = _read_image(images, truth, image_id)
        boxes = np.array([d["bbox"] for d in found], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        size = image.shape[1], image.shape[0]
        boxes = np.clip(boxes, 0, [*size, *size])
        wide = np.all(boxes[:, 2:] - boxes[:, :2] >= 1, axis=1)
        if not wide.any():
            continue
        found = [d for d, good in zip(found, wide.tolist(), strict=True) if good]
        masks = _decode(segmenter, segmenter.embed(image), [Prompt(box=box) for box in boxes[wide]])
        for detection, (rle, iou) in zip(found, masks, strict=True):
            same = {key: detection[key] for key in ("image_id", "category_id", "score")}
            results.append({**same, "segmentation": rle} | ({"score": iou} if rate else {}))
    return results


def _read_image(images: Path, truth: Truth, image_id: Any) -> np.ndarray:
    """Read an image as ``(H, W, 3)`` uint8 RGB; ``ValueError`` where it is not the annotated one."""
    path = images / truth.files[image_id] if image_id in truth.files else None
    if path is None or not path.is_file():
        raise ValueError(f"detections name image {image_id}, which is not in {images}")
    width, height = truth.sizes[image_id]
    try:
        return read_rgb(path, (int(height), int(width)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _decode(segmenter: Segmenter, embedding: Embedding, prompts: list[Prompt]) -> list[tuple[dict, float]]:
    """Return RLE and predicted IoU of the mask of each prompt, of any number of prompts."""
    found: list[tuple[dict, float]] = []
    for first in range(0, len(prompts), MAX_PROMPTS):
        masks = segmenter.decode(embedding, prompts[first : first + MAX_PROMPTS])
        found += zip(masks.rle(), masks.scores.tolist(), strict=True)
    return found


def coco_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """Return COCO's six mask metrics over all images of ``annotations``, in 0..1.

    As in pycocotools, a metric is -1 if no ground-truth mask has that size.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, _coco_results(truth, results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_NAMES, map(float, evaluation.stats), strict=False))


def _coco_results(truth: COCO, results: list[dict]) -> COCO:
    if results:
        return truth.loadRes(results)
    empty = COCO()  # loadRes reads the first result
    empty.dataset = {**truth.dataset, "annotations": []}
    empty.createIndex()
    return empty


def lvis_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """Return LVIS's mask metrics (AP, by size and by frequency), in 0..1."""
    if not hasattr(np, "float"):
        vars(np)["float"] = float  # lvis 0.5.3 uses np.float, which numpy 1.24 removed
    try:
        from lvis import LVISEval
    except ImportError as error:
        raise ValueError("LVIS AP needs the lvis package: pip install --no-deps lvis matplotlib") from error
    if not results:
        raise ValueError("no detection has a box of a pixel or more in its image; LVIS AP needs at least one")
    evaluation = LVISEval(str(annotations), results, "segm")
    evaluation.run()
    return {name: float(value) for name, value in evaluation.get_results().items()}


def average_precision(
    segmenter: Segmenter,
    annotations: Path,
    images: Path,
    detections: Path | None,
    protocol: str,
    *,
    boxes: str = "auto",
    numbering: str = "auto",
) -> dict[str, float]:
    """Segment a detector's boxes and score the masks by ``coco``'s or ``lvis``'s protocol.

    Without ``detections`` the boxes are those of the annotations without crowds, and a mask's score is its
    predicted IoU (Lite-SAM, tables 1, 4 and 5: 1-box mAP). ``boxes``, ``numbering``: see
    :func:`.detector_files.read_detections`.
    """
    truth = read_truth(annotations)
    if detections is None:
        annotated = [entry for entry in _read_json(annotations)["annotations"] if not entry.get("iscrowd")]
        found = [{**entry, "score": 1.0} for entry in annotated]
    else:
        found = read_detections(detections, truth, boxes, numbering)
    results = segment_detections(segmenter, images, truth, found, rate=detections is None)
    score = {"coco": coco_average_precision, "lvis": lvis_average_precision}[protocol]
    return score(annotations, results)


def read_truth(annotations: Path) -> Truth:
    """Return images and categories of instances in COCO's or LVIS's format.

    Raises:
        ValueError: the file is not in these formats.
    """
    content = _read_json(annotations)
    try:
        if not {"annotations", "categories"} <= set(content):
            raise KeyError("annotations, categories")
        images = content["images"]
        # LVIS has the URL only.
        files = {e["id"]: e.get("file_name") or "/".join(e["coco_url"].split("/")[-2:]) for e in images}
        sizes = {e["id"]: (float(e["width"]), float(e["height"])) for e in images}
        categories = {e["id"]: str(e.get("name", e["id"])) for e in content["categories"]}
        return Truth(annotations.name, sizes, files, categories)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations}: expected COCO or LVIS instances ({error!r})") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from error
