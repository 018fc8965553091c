# SPDX-License-Identifier: Apache-2.0
"""Reading, viewing and prompting training data."""

import json

import numpy as np
import pytest

from training.annotations import Skipped, read_annotations, read_folder
from training.dataset import TrainingSet, collate, sample_points
from training.pack import pack_file
from training.views import ViewOptions, draw_view


def test_reading_skips_and_counts_what_is_unusable(shapes_data, tmp_path):
    file = shapes_data / "annotations" / "shapes_val.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [3, 3, 0, 0]
    lonely = content["images"][-1]["id"]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != lonely]
    (tmp_path / "shapes_val.json").write_text(json.dumps(content))
    skipped = Skipped()
    records = read_annotations(tmp_path / "shapes_val.json", shapes_data / "images", skipped)
    assert len(records) == 3
    assert skipped.counts == {"empty masks": 1, "images without masks": 1}


def test_missing_annotations_and_wrong_pictures_are_named(shapes_data, tmp_path):
    with pytest.raises(ValueError, match=r"no annotation file matches .*nothing\.json"):
        read_folder(shapes_data, ["nothing"])
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"x\.json: expected a COCO instances file"):
        read_annotations(tmp_path / "x.json", tmp_path)
    record = read_folder(shapes_data, ["shapes_val"])[0]
    wrong = type(record)(**{**record.__dict__, "width": 161})
    with pytest.raises(ValueError, match="is 160x120, its annotations say 161x120"):
        wrong.read_image()


def test_view_without_augmentation_is_the_picture_with_its_masks(shapes_data):
    for record in read_folder(shapes_data, ["shapes_val"]):
        view = draw_view(record, ViewOptions(160), np.random.default_rng(0))
        assert view.valid == (120, 160)
        np.testing.assert_array_equal(view.image[:120], record.read_image())
        assert not view.image[120:].any()
        for index, coverage in enumerate(view.coverage):
            mask = record.read_mask(index).reshape(30, 4, 40, 4).mean((1, 3))
            np.testing.assert_allclose(coverage[:30], mask, atol=1e-3)
        np.testing.assert_allclose(view.boxes, record.boxes, atol=1e-3)


def test_flip_moves_masks_and_boxes_with_the_picture(shapes_data):
    record = read_folder(shapes_data, ["shapes_val"])[0]
    view = draw_view(record, ViewOptions(160, flip=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(view.image[:120], record.read_image()[:, ::-1])
    for index, box in enumerate(view.boxes):
        np.testing.assert_allclose(box[[0, 2]], 160 - record.boxes[index][[2, 0]], atol=1e-3)
        wanted = record.read_mask(index)[:, ::-1].reshape(30, 4, 40, 4).mean((1, 3))
        np.testing.assert_allclose(view.coverage[index][:30], wanted, atol=1e-3)


def test_random_views_keep_boxes_around_masks_and_points_inside(shapes_data):
    records = read_folder(shapes_data, ["shapes_train"])
    options = ViewOptions(96, zoom=(0.6, 2.5), flip=0.5, colour=0.3)
    rng = np.random.default_rng(3)
    seen = 0
    for record in records * 3:
        view = draw_view(record, options, rng)
        for coverage, box in zip(view.coverage, view.boxes, strict=True):
            rows, cols = np.nonzero(coverage > 0.5)
            if not len(rows):
                continue
            seen += 1
            assert box[0] <= cols.min() * 4 + 2.1 and box[2] >= cols.max() * 4 + 1.9
            assert box[1] <= rows.min() * 4 + 2.1 and box[3] >= rows.max() * 4 + 1.9
            points = sample_points(coverage, rng)
            cells = ((points + 0.5) / 4).astype(int)
            assert (coverage[cells[:, 1], cells[:, 0]] >= 0.5).all()
    assert seen > 30


def test_samples_are_a_function_of_seed_and_index(shapes_data):
    records = read_folder(shapes_data, ["shapes_train"])
    options = ViewOptions(96, zoom=(0.8, 1.5), flip=0.5, colour=0.2)
    first, again = (TrainingSet(records, options, 4, seed=7) for _ in range(2))
    other = TrainingSet(records, options, 4, seed=8)
    for a, b in zip(first[5], again[5], strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(first[5], other[5], strict=True) if a.shape == b.shape)
    batch = collate([first[0], first[1]])
    assert batch.image.shape == (2, 96, 96, 3) and batch.coverage.shape == (2, 4, 24, 24)
    assert batch.points.shape == (2, 4, 10, 2) and batch.heat.shape == (2, 24, 24)


def test_packing_shrinks_pictures_and_masks_alike(shapes_data, tmp_path):
    source = shapes_data / "annotations" / "shapes_val.json"
    pack_file(source, shapes_data / "images", tmp_path, 80, 95, Skipped())
    small = read_folder(tmp_path, ["shapes_val"])
    large = read_folder(shapes_data, ["shapes_val"])
    assert [r.width for r in small] == [80] * 4
    for a, b in zip(small, large, strict=True):
        assert a.read_image().shape == (60, 80, 3)
        np.testing.assert_allclose(a.boxes * 2, b.boxes[: len(a.boxes)], atol=2.1)
