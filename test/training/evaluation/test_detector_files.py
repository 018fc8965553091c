# SPDX-License-Identifier: Apache-2.0
"""The same boxes as ViTDet, ultralytics and Grounding DINO write them are the same detections."""

import json
import re

import pytest

from training.evaluation.detector_files import Truth, read_detections

#: Categories have gaps, as COCO's have.
TRUTH = Truth(
    "instances.json",
    sizes={139: (640, 426), 7: (100, 80)},
    files={139: "000000000139.jpg", 7: "street.jpg"},
    categories={1: "person", 3: "car", 90: "toothbrush"},
)
WANTED = [
    {"image_id": 139, "category_id": 1, "bbox": [400, 100, 200, 300], "score": 0.75},
    {"image_id": 139, "category_id": 90, "bbox": [10, 20, 30, 40], "score": 0.5},
    {"image_id": 7, "category_id": 3, "bbox": [60, 30, 40, 50], "score": 0.25},
]
CORNERS = [[400, 100, 600, 400], [10, 20, 40, 60], [60, 30, 100, 80]]
KEYS = ("x1", "y1", "x2", "y2")
NAMES = ["person", "toothbrush", "car"]


def ultralytics_validation():
    """``predictions.json`` of ``yolo val save_json=True`` on data that is not COCO: numbers from 1."""
    places = {1: 1, 3: 2, 90: 3}
    return [
        {**w, "image_id": 139 if w["image_id"] == 139 else "street", "category_id": places[w["category_id"]]}
        for w in WANTED
    ]


def ultralytics_results():
    """``Results.summary()`` by image."""
    entries = [
        {"name": n, "class": k, "confidence": w["score"], "box": dict(zip(KEYS, c, strict=True))}
        for k, (n, w, c) in enumerate(zip(NAMES, WANTED, CORNERS, strict=True))
    ]
    return {"000000000139.jpg": entries[:2], "street.jpg": entries[2:]}


def grounding_dino_phrases():
    """Corners, and labels with their score as text."""
    return [
        {"image_id": str(w["image_id"]), "label": f"{n}({w['score']:.2f})", "box": c}
        for n, w, c in zip(NAMES, WANTED, CORNERS, strict=True)
    ]


def grounding_dino_of_transformers():
    return [
        {"image": "000000000139.jpg", "boxes": CORNERS[:2], "scores": ["0.75", "0.5"], "labels": NAMES[:2]},
        {"image": "street.jpg", "boxes": CORNERS[2:], "scores": ["0.25"], "labels": NAMES[2:]},
    ]


def grounding_dino_raw():
    """Centres and sizes as shares of the image."""
    entries = []
    for name, expected in zip(NAMES, WANTED, strict=True):
        (x, y, w, h), (width, height) = expected["bbox"], TRUTH.sizes[expected["image_id"]]
        box = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        entries.append(
            {"image_id": expected["image_id"], "phrase": name, "logit": expected["score"], "box": box}
        )
    return entries


FORMS = {
    "ViTDet": lambda: WANTED,
    "scores as text": lambda: [{**w, "score": str(w["score"])} for w in WANTED],
    "corners under bbox": lambda: [{**w, "bbox": c} for w, c in zip(WANTED, CORNERS, strict=True)],
    "numbers from 0": lambda: [{**w, "category_id": k} for w, k in zip(WANTED, (0, 2, 1), strict=True)],
    "ultralytics, validation": ultralytics_validation,
    "ultralytics, results": ultralytics_results,
    "Grounding DINO, phrases": grounding_dino_phrases,
    "Grounding DINO of transformers": grounding_dino_of_transformers,
    "Grounding DINO, raw": grounding_dino_raw,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_detections(form, tmp_path):
    (file := tmp_path / "boxes.json").write_text(json.dumps(FORMS[form]()))
    for found, expected in zip(read_detections(file, TRUTH), WANTED, strict=True):
        assert found["bbox"] == pytest.approx(expected["bbox"], abs=1e-3)
        assert {k: v for k, v in found.items() if k != "bbox"} == {
            k: v for k, v in expected.items() if k != "bbox"
        }


def test_ambiguous_formats_are_set_by_options(tmp_path):
    entry = {"image_id": 7, "category_id": 1, "bbox": [10, 10, 40, 40], "score": 1}
    (file := tmp_path / "boxes.json").write_text(json.dumps([entry]))
    assert read_detections(file, TRUTH)[0]["bbox"] == [10, 10, 40, 40]
    found = read_detections(file, TRUTH, "xyxy", "from0")[0]
    assert found["bbox"] == [10, 10, 30, 30] and found["category_id"] == 3


def test_labels_that_are_no_category_are_left_out_and_named(tmp_path, caplog):
    entries = [{**WANTED[0], "category_id": "person"}, {**WANTED[1], "category_id": "traffic"}]
    (file := tmp_path / "boxes.json").write_text(json.dumps(entries))
    assert len(read_detections(file, TRUTH)) == 1
    assert "1 detections are of no category of instances.json: 'traffic' (1)" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            [{**WANTED[0], "image_id": 8}],
            "all detections name image 8, which is not in instances.json; .* 2 images",
        ),
        ([WANTED[0], {**WANTED[1], "image_id": "x.jpg"}], "1 of 2 detections name image x.jpg"),
        ([{**WANTED[0], "category_id": 2}], "category 2 is not in instances.json.*--numbering"),
        (
            [{**WANTED[0], "category_id": "dog"}],
            "no category of instances.json: 'dog' .*expected person, car",
        ),
        ([{"image_id": 7, "boxes": [[1, 2, 3, 4]], "scores": [], "labels": []}], "the same number of each"),
        ("text", "expected COCO results, a list of detections"),
    ],
)
def test_files_of_other_images_or_classes_are_one_line(content, message, tmp_path):
    (file := tmp_path / "boxes.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as error:
        read_detections(file, TRUTH)
    assert "\n" not in str(error.value)


def test_a_download_that_was_cut_off_is_one_line(tmp_path):
    (file := tmp_path / "boxes.json").write_text(json.dumps(WANTED)[:50])
    with pytest.raises(ValueError, match=re.escape(f"{file}: expected a detector's boxes; cannot be read")):
        read_detections(file, TRUTH)
