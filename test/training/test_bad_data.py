# SPDX-License-Identifier: Apache-2.0
"""Every command that reads data: what is damaged is passed over; nothing usable is an error, exit code 1."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pycocotools import mask as codec

from training import evaluate, pack, precompute, train
from training.evaluation.ground_truth import checked_instances
from training.precompute import precompute as embed
from training.records import DataError
from training.sa1b import Folder
from training.teachers import ModelTeacher

from .drawn_shapes import shapes

WEIGHTS = Path(__file__).parents[2] / "engines" / "lite_sam" / "model.safetensors"
STAGE = {"size": 64, "steps": 2, "batch": 2, "prompts": 2, "lr": 1e-3}


@pytest.fixture
def texts(shapes_data, tmp_path):
    """A data set in which no annotation belongs to an image."""
    content = json.loads((shapes_data / "annotations" / "shapes_val.json").read_text())
    for annotation in content["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "texts_train.json").write_text(json.dumps(content))
    (tmp_path / "images").symlink_to(shapes_data / "images")
    return tmp_path


@pytest.fixture
def published(tmp_path):
    """A folder in SA-1B's layout; the function writes a record, damaged or not."""
    root = tmp_path / "sa1b"
    root.mkdir()

    def write(number: int, damaged: bool) -> None:
        image, masks = shapes(np.random.default_rng(number), (120, 160))
        rles = [codec.encode(np.asfortranarray(mask)) for mask in masks]
        annotations = [
            {"id": i, "segmentation": {**rle, "counts": rle["counts"].decode()}} for i, rle in enumerate(rles)
        ]
        content = {"image": {"height": 120, "width": 160}, "annotations": annotations}
        (root / f"sa_{number}.json").write_text(json.dumps(content))
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        (root / f"sa_{number}.jpg").write_bytes(jpeg[: len(jpeg) // 3] if damaged else jpeg)

    return root, write


def recipe_file(folder: Path, data: dict) -> str:
    file = folder / "recipe.yaml"
    settings = {"task": "lite_sam", "data": data, "stages": [STAGE], "precision": "32-true"}
    file.write_text(yaml.safe_dump(settings))
    return str(file)


def commands(data: Path, name: str) -> dict:
    recipe = recipe_file(data, {"train": [name]})
    return {
        "train": (train.main, [recipe, "--data", str(data), "--out", str(data / "run"), "--workers", "0"]),
        "evaluate": (evaluate.main, ["boxes", "--data", str(data), "--on", name]),
        "pack": (pack.main, ["--data", str(data), "--out", str(data / "out"), "--names", name]),
        "precompute": (
            precompute.main,
            ["--teacher", "lite_sam:x", "--data", str(data), "--out", str(data / "out"), "--train", name],
        ),
    }


@pytest.mark.parametrize("command", ["train", "evaluate", "pack", "precompute"])
def test_no_image_with_a_mask_is_an_error_with_the_reason(texts, command, capsys):
    main, arguments = commands(texts, "texts_train")[command]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"{command}: no image with a usable mask in {texts / 'annotations'} (texts_train)" in error
    assert "annotations of no image (texts_train.json annotation 1: no image has the id '1')" in error
    main, arguments = commands(texts, "nothing_*")[command]
    assert main(arguments) == 2
    assert f"{command}: no annotation file matches" in capsys.readouterr().err
    (texts / "annotations" / "texts_train.json").write_text('{"images": [')
    main, arguments = commands(texts, "texts_train")[command]
    assert main(arguments) == 1
    assert "texts_train.json: expected a COCO instances file; it is not JSON" in capsys.readouterr().err


def test_evaluation_passes_over_images_that_cannot_be_read(shapes_data, tmp_path, capsys, caplog):
    content = json.loads((shapes_data / "annotations" / "shapes_val.json").read_text())
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images" / "shapes").mkdir(parents=True)
    (tmp_path / "annotations" / "shapes_val.json").write_text(json.dumps(content))
    names = [entry["file_name"] for entry in content["images"]]
    for name in names:
        (tmp_path / "images" / name).write_bytes((shapes_data / "images" / name).read_bytes()[:1000])
    arguments = ["boxes", "--data", str(tmp_path), "--on", "shapes_val", "--baselines", "box filled"]
    assert evaluate.main(arguments) == 1
    assert (
        "evaluate: no image can be read: 4 unreadable images (shapes/shapes_val_1.png"
        in capsys.readouterr().err
    )
    (tmp_path / "images" / names[2]).write_bytes((shapes_data / "images" / names[2]).read_bytes())
    assert evaluate.main([*arguments, "--json", str(tmp_path / "report.json")]) == 0
    assert "skipped 3 unreadable images" in caplog.text
    assert json.loads((tmp_path / "report.json").read_text())["shapes_val"]["box filled"]["all"] > 0.5


@pytest.mark.parametrize("workers", ["0", "1"])
def test_training_on_only_damaged_images_ends_with_the_reason(published, tmp_path, workers, capsys):
    root, write = published
    write(1, damaged=True)
    recipe = recipe_file(tmp_path, {"kind": "sa1b"})
    run = ["--data", str(root), "--out", str(tmp_path / "run"), "--workers", workers]
    assert train.main([recipe, *run]) == 1
    printed = capsys.readouterr().err
    [error] = [line for line in printed.splitlines() if line.startswith("train: ")]
    assert "100 records in a row without a mask in view" in error and "it is cut off" in error
    assert "Traceback" not in printed


def test_embedding_passes_over_damaged_records(published, tmp_path, capsys):
    root, write = published
    write(1, damaged=True)
    arguments = ["--teacher", f"lite_sam:{WEIGHTS}", "--kind", "sa1b", "--data", str(root), "--size", "64"]
    arguments += ["--out", str(tmp_path / "embeddings")]
    assert precompute.main(arguments) == 1
    assert "1 unusable records (sa_1: cannot be read as an image: it is cut off" in capsys.readouterr().err
    write(2, damaged=False)
    (root / "sa_3.json").write_text("{}")
    skipped = embed(ModelTeacher("lite_sam", WEIGHTS).eval(), Folder(root), 64, tmp_path / "embeddings")
    assert skipped.counts == {"unusable records": 2}
    assert precompute.main(arguments) == 0
    assert "1 images; skipped 2 unusable records" in capsys.readouterr().out


def ground_truth() -> dict:
    mask = np.zeros((60, 80), np.uint8)
    mask[5:45, 5:45] = 1
    rle = codec.encode(np.asfortranarray(mask))
    rle["counts"] = rle["counts"].decode()
    entry = {"image_id": 7, "category_id": 2, "area": 1600, "iscrowd": 0, "bbox": [5, 5, 40, 40]}
    polygon = [[50, 10, 75, 10, 75, 50, 50, 50]]
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 60, "width": 80}],
        "annotations": [
            {**entry, "id": 1, "segmentation": rle},
            {**entry, "id": 2, "segmentation": polygon, "bbox": [50, 10, 25, 40], "area": 1000},
            {**entry, "id": 3, "segmentation": {"size": [60, 80], "counts": [0, 4800]}, "bbox": []},
        ],
        "categories": [{"id": 2, "name": "thing"}],
    }


def test_ground_truth_that_is_right_is_used_as_it_is(tmp_path):
    content = ground_truth()
    content["annotations"][2].update(bbox=[0, 0, 80, 60], iscrowd=1)
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    with checked_instances(file) as found:
        assert found == file


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"segmentation": [[5, 5, 2e8, 5, 9, 9]]}, "polygons far outside"),
        ({"segmentation": {"size": [60, 80], "counts": "0`"}}, "damaged RLE masks"),
        ({"segmentation": None}, "empty masks"),
        ({"id": 2}, "annotations without an id of their own"),
        ({"id": None}, "annotations without an id of their own"),
        ({"category_id": "2"}, "annotations of no category"),
        ({"category_id": []}, "annotations of no category"),
        ({"image_id": 8}, "annotations of no image"),
    ],
)
def test_ground_truth_has_no_unusable_entries(tmp_path, change, reason, caplog):
    from pycocotools.coco import COCO

    content = ground_truth()
    content["annotations"][2]["iscrowd"] = 1
    content["annotations"].insert(2, {**content["annotations"][0], "id": 9, **change})
    del content["annotations"][1]["area"]
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    with checked_instances(file) as found:
        truth = COCO(str(found))
    assert sorted(truth.anns) == [1, 2, 3] and f"1 {reason}" in caplog.text
    assert truth.anns[2]["area"] == 1000 and truth.anns[3]["bbox"] == [0, 0, 80, 60]
    assert truth.annToMask(truth.anns[3]).all()
    assert not found.exists() and file.exists()


def test_ground_truth_without_usable_entries_is_an_error(tmp_path):
    content = ground_truth()
    content["annotations"] = [{"id": 1}]
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    with (
        pytest.raises(DataError, match=r"instances\.json: no annotation can be used; skipped: 1 annot"),
        checked_instances(file),
    ):
        pass
