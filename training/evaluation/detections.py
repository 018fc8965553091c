# SPDX-License-Identifier: Apache-2.0
"""A detector's boxes in, mask AP out (EfficientViT-SAM, table 4): COCO by pycocotools, LVIS by lvis."""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from evitsam_ros.segment import Prompt, Segmenter

if TYPE_CHECKING:
    from pathlib import Path

COCO_NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def segment_detections(
    segmenter: Segmenter, images: Path, names: dict[int, str], detections: list[dict]
) -> list[dict]:
    """Replace the boxes of COCO results (``image_id``, ``category_id``, ``bbox`` xywh, ``score``) by masks.

    A box of less than a pixel within its image has no mask and is left out.

    Args:
        images: folder of the images.
        names: their files by image id.

    Raises:
        ValueError: a detection is not in this form, or its image is missing.
    """
    by_image: dict[int, list[dict]] = defaultdict(list)
    for number, detection in enumerate(detections):
        _check_detection(number, detection)
        by_image[detection["image_id"]].append(detection)
    results = []
    for image_id, found in tqdm(by_image.items(), desc="detections", unit="image", mininterval=2):
        image = cv2.imread(str(images / names[image_id])) if image_id in names else None
        if image is None:
            raise ValueError(f"detections name image {image_id}, which is not in {images}")
        boxes = np.array([d["bbox"] for d in found], np.float32)
        boxes[:, 2:] += boxes[:, :2]
        size = image.shape[1], image.shape[0]
        boxes = np.clip(boxes, 0, [*size, *size])
        wide = np.all(boxes[:, 2:] - boxes[:, :2] >= 1, axis=1)
        if not wide.any():
            continue
        found = [d for d, good in zip(found, wide.tolist(), strict=True) if good]
        embedding = segmenter.embed(np.ascontiguousarray(image[..., ::-1]))
        masks = segmenter.decode(embedding, [Prompt(box=box) for box in boxes[wide]])
        for detection, rle in zip(found, masks.rle(), strict=True):
            same = {key: detection[key] for key in ("image_id", "category_id", "score")}
            results.append({**same, "segmentation": rle})
    return results


def _check_detection(number: int, detection: object) -> None:
    """Raise ``ValueError`` unless this is an entry of COCO results with a box and a score."""
    if not isinstance(detection, dict) or not {"image_id", "category_id", "bbox", "score"} <= set(detection):
        raise ValueError(f"detection {number}: expected image_id, category_id, bbox and score")
    if not isinstance(detection["image_id"], int | str):
        raise ValueError(f"detection {number}: image_id is {detection['image_id']!r}; expected an image's id")
    numbers = _numbers(detection["bbox"])
    if numbers is None or numbers.shape != (4,):
        box = detection["bbox"]
        raise ValueError(f"detection {number}: bbox is {box!r}; expected x, y, width and height in pixels")
    score = _numbers(detection["score"])
    if score is None or score.shape != ():
        raise ValueError(f"detection {number}: score is {detection['score']!r}; expected a number")


def _numbers(value: object) -> np.ndarray | None:
    """``value`` as an array of finite numbers, else None."""
    try:
        array = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        return None
    return array if np.isfinite(array).all() else None


def coco_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """COCO's six numbers of masks over all images of ``annotations``, in 0..1.

    As pycocotools has it, -1 where there is no human mask of that size.
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
    nothing = COCO()  # loadRes looks at the first result
    nothing.dataset = {**truth.dataset, "annotations": []}
    nothing.createIndex()
    return nothing


def lvis_average_precision(annotations: Path, results: list[dict]) -> dict[str, float]:
    """LVIS's numbers of masks (AP, by size and by frequency), in 0..1."""
    if not hasattr(np, "float"):
        vars(np)["float"] = float  # lvis 0.5.3 uses np.float, which numpy 1.24 removed
    try:
        from lvis import LVISEval
    except ImportError as error:
        raise ValueError("LVIS AP needs the lvis package: pip install --no-deps lvis matplotlib") from error
    if not results:
        raise ValueError("no detection has a box of a pixel or more in its image; LVIS AP needs one at least")
    evaluation = LVISEval(str(annotations), results, "segm")
    evaluation.run()
    return {name: float(value) for name, value in evaluation.get_results().items()}


def average_precision(
    segmenter: Segmenter, annotations: Path, images: Path, detections: Path, protocol: str
) -> dict[str, float]:
    """Segment a detector's boxes and score the masks by ``coco``'s or ``lvis``'s protocol."""
    found = _read_json(detections)
    if not isinstance(found, list):
        raise ValueError(f"{detections}: expected COCO results, a list of detections")
    results = segment_detections(segmenter, images, _image_files(annotations), found)
    score = {"coco": coco_average_precision, "lvis": lvis_average_precision}[protocol]
    return score(annotations, results)


def _image_files(annotations: Path) -> dict[int, str]:
    """The images' files by id, of instances in COCO's or LVIS's format."""
    content = _read_json(annotations)
    try:
        if not {"annotations", "categories"} <= set(content):
            raise KeyError("annotations, categories")
        # LVIS has the URL only.
        return {
            e["id"]: e.get("file_name") or "/".join(e["coco_url"].split("/")[-2:]) for e in content["images"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations}: expected COCO or LVIS instances ({error!r})") from error


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from error
