# SPDX-License-Identifier: Apache-2.0
"""Mask AP of a detector's boxes, with pycocotools' own evaluation as the truth."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evitsam_ros.segment import Segmenter
from training.evaluate import main
from training.evaluation.detections import (
    average_precision,
    coco_average_precision,
    lvis_average_precision,
    read_truth,
    segment_detections,
)
from training.evaluation.detector_files import Truth

from ..masks import encoded, rectangle
from .instances_file import write_images

TRUTH = Truth("instances.json", {7: (80.0, 60.0)}, {7: "a.png"}, {1: "1", 2: "2"})


@pytest.fixture
def two_objects(tmp_path):
    """Instances in COCO's and LVIS's format with an image, and detections that hit and that miss."""
    masks = [rectangle(5, 5, 45, 45), rectangle(50, 10, 75, 50)]
    annotations = []
    for index, mask in enumerate(masks, start=1):
        rle = encoded(mask)
        entry = {"id": index, "image_id": 7, "category_id": index, "area": int(mask.sum()), "iscrowd": 0}
        annotations.append({**entry, "bbox": codec.toBbox(rle).tolist(), "segmentation": rle})
    image = {"id": 7, "file_name": "a.png", "height": 60, "width": 80}
    lvis = {"not_exhaustive_category_ids": [], "neg_category_ids": []}
    categories = [{"id": i, "name": str(i), "frequency": "f", "image_count": 5} for i in (1, 2)]
    content = {"images": [{**image, **lvis}], "annotations": annotations, "categories": categories}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    results = [
        {"image_id": 7, "category_id": 1, "score": 0.9, "segmentation": encoded(masks[0])},
        {"image_id": 7, "category_id": 2, "score": 0.8, "segmentation": encoded(rectangle(0, 0, 10, 10))},
    ]
    return path, results


@pytest.mark.parametrize("score", [coco_average_precision, lvis_average_precision])
def test_average_precision_of_one_hit_and_one_miss_is_a_half(two_objects, score):
    if score is lvis_average_precision:
        pytest.importorskip("lvis")
    path, results = two_objects
    assert score(path, results)["AP"] == pytest.approx(0.5)


def test_boxes_of_a_detector_become_masks(two_objects, bundle_folder):
    path, _ = two_objects
    segmenter = Segmenter.open(bundle_folder)
    detections = [
        {"image_id": 7, "category_id": 1, "bbox": [5, 5, 40, 40], "score": 0.9},
        {"image_id": 7, "category_id": 2, "bbox": [70, 50, 400, 400], "score": 0.5},  # beyond the picture
        {"image_id": 7, "category_id": 2, "bbox": [10, 10, 0, 5], "score": 0.4},  # without a width
    ]
    results = segment_detections(segmenter, path.parent, TRUTH, detections)
    assert [r["score"] for r in results] == [0.9, 0.5]
    assert results[0]["segmentation"]["size"] == [60, 80]
    with pytest.raises(ValueError, match="detection 0: expected image_id"):
        segment_detections(segmenter, path.parent, TRUTH, [{"bbox": [1, 2, 3, 4]}])
    with pytest.raises(ValueError, match="detections name image 8"):
        segment_detections(segmenter, path.parent, TRUTH, [{**detections[0], "image_id": 8}])


def evaluate_by_pycocotools(annotations, results, folder) -> np.ndarray:
    (file := folder / "results.json").write_text(json.dumps(results))
    truth = COCO(str(annotations))
    evaluation = COCOeval(truth, truth.loadRes(str(file)), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:6]


def test_images_without_a_detection_count(tmp_path):
    mask = rectangle(5, 5, 45, 45)
    path = write_images(tmp_path, {number: [mask] for number in (3, 1, 4, 5)})
    results = [{"image_id": 4, "category_id": 1, "score": 0.9, "segmentation": encoded(mask)}]
    # One of four is found: precision is 1 at recalls 0 to 0.25 of COCO's 101.
    assert coco_average_precision(path, results)["AP"] == pytest.approx(26 / 101)
    assert coco_average_precision(path, [])["AP"] == 0.0


def test_coco_ap_is_pycocotools_over_all_images(tmp_path):
    rng = np.random.default_rng(0)
    masks_of, results = {}, []
    for image_id in range(1, 13):
        corners = rng.integers(0, (40, 30), (int(rng.integers(0, 4)), 2))
        sides = rng.integers(6, 30, corners.shape)
        boxes = np.concatenate([corners, corners + sides], 1)
        masks_of[image_id] = [rectangle(*box) for box in boxes]
        if image_id % 3 == 0:
            continue  # no detection here
        for box in [*boxes, rng.integers(0, 30, 4) + np.array([0, 0, 31, 31])]:
            drawn = rectangle(*np.clip(box + rng.integers(-2, 3, 4), 0, None))
            if rng.random() < 0.8 and drawn.any():
                entry = {"image_id": image_id, "category_id": 1, "score": float(rng.random())}
                results.append({**entry, "segmentation": encoded(drawn)})
    path = write_images(tmp_path, masks_of)
    expected = evaluate_by_pycocotools(path, results, tmp_path)
    assert 0.1 < expected[0] < 0.9
    np.testing.assert_allclose(list(coco_average_precision(path, results).values()), expected)


@pytest.fixture
def score_file(tmp_path, bundle_folder):
    """AP by the path that the command takes, of boxes by image id."""
    mask = rectangle(5, 5, 45, 45)
    path = write_images(tmp_path, {1: [mask], 2: [mask]})
    segmenter = Segmenter.open(bundle_folder)

    def score(detections, protocol: str = "coco", annotations=path):
        (file := tmp_path / "detections.json").write_text(json.dumps(detections))
        return average_precision(segmenter, annotations, tmp_path, file, protocol)

    return score


def entry(image_id, box, **other) -> dict:
    return {"image_id": image_id, "category_id": 1, "bbox": box, "score": 0.5, **other}


def test_an_image_without_a_usable_box_is_scored_as_without_a_detection(score_file):
    good = [entry(1, [5, 5, 40, 40])]
    useless = [entry(2, box) for box in ([10, 10, 0, 5], [200, 10, 30, 30], [10, -50, 20, 20.5])]
    assert score_file(good + useless) == score_file(useless + good) == score_file(good)
    for empty in (useless, []):
        assert score_file(empty)["AP"] == 0.0


@pytest.mark.parametrize(
    ("detections", "message"),
    [
        ([entry(1, [1, 2, 3])], r"detection 0: bbox is \[1, 2, 3\]; expected x, y, width and height"),
        ([entry(1, [5, 5, 9, 9]), entry(1, [1, 2, float("nan"), 4])], "detection 1: bbox is .*nan"),
        ([entry(1, None)], "detection 0: bbox is None"),
        ([entry(1, [5, 5, 9, 9], score="high")], "detection 0: score is 'high'; expected a number"),
        ([entry(1, [5, 5, 9, 9], score=None)], "detection 0: score is None"),
        ([entry([1], [5, 5, 9, 9])], r"detection 0: image_id is \[1\]; expected an image's id"),
        (["a"], "detection 0: expected image_id"),
        ({"annotations": []}, "expected COCO results, a list of detections"),
        ([entry(3, [5, 5, 9, 9])], "detections name image 3, which is not in"),
    ],
)
def test_damaged_detections_are_named(score_file, detections, message):
    with pytest.raises(ValueError, match=message):
        score_file(detections)


def test_damaged_files_are_named(score_file, tmp_path):
    good = [entry(1, [5, 5, 40, 40])]
    (other := tmp_path / "other.json").write_text('{"images": [{"file_name": "1.png"}]}')
    with pytest.raises(ValueError, match=r"other.json: expected COCO or LVIS instances"):
        score_file(good, annotations=other)
    other.write_text("{")
    with pytest.raises(ValueError, match=r"other.json: cannot be read as JSON"):
        score_file(good, annotations=other)
    with pytest.raises(ValueError, match=r"missing.json: cannot be read as JSON"):
        score_file(good, annotations=tmp_path / "missing.json")


def test_boxes_of_the_ground_truth_are_ranked_by_predicted_iou(tmp_path, bundle_folder):
    path = write_images(tmp_path, {1: [rectangle(5, 5, 45, 45), rectangle(50, 10, 75, 50)]})
    segmenter = Segmenter.open(bundle_folder)
    boxes = [entry(1, [5, 5, 40, 40]), entry(1, [50, 10, 25, 40])]
    rated = segment_detections(segmenter, tmp_path, read_truth(path), boxes, rate=True)
    assert all(result["score"] != 0.5 for result in rated)
    expected = coco_average_precision(path, rated)
    assert average_precision(segmenter, path, tmp_path, None, "coco") == expected


def test_lvis_without_a_usable_box_is_named(two_objects, bundle_folder, tmp_path, capsys):
    pytest.importorskip("lvis")
    path, _ = two_objects
    (file := tmp_path / "d.json").write_text(json.dumps([entry(7, [10, 10, 0, 5])]))
    arguments = ["detections", "--model", str(bundle_folder), "--annotations", str(path)]
    arguments += ["--images", str(tmp_path), "--detections", str(file)]
    assert main([*arguments, "--protocol", "lvis"]) == 2
    assert "no detection has a box of a pixel or more" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "0.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda path: cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8)),
            "is 40x30, its annotations say 80x60",
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "cannot be read as an image"),
    ],
    ids=["another size", "cut off"],
)
def test_an_image_that_is_not_the_annotated_one_is_named(two_objects, bundle_folder, change, words):
    path, _ = two_objects
    change(path.parent / "a.png")
    segmenter, box = Segmenter.open(bundle_folder), entry(7, [5, 5, 40, 40])
    with pytest.raises(ValueError, match=rf"a\.png: .*{words}"):
        segment_detections(segmenter, path.parent, TRUTH, [box])


def test_more_boxes_than_a_call_decodes_are_decoded_in_parts(two_objects, bundle_folder, monkeypatch):
    path, _ = two_objects
    segmenter = Segmenter.open(bundle_folder)
    boxes = [entry(7, [5 + n, 5, 40, 40]) for n in range(5)]
    whole = segment_detections(segmenter, path.parent, TRUTH, boxes)
    monkeypatch.setattr("training.evaluation.detections.MAX_PROMPTS", 2)
    assert segment_detections(segmenter, path.parent, TRUTH, boxes) == whole and len(whole) == 5
