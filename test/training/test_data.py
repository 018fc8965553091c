# SPDX-License-Identifier: Apache-2.0
"""Reading, viewing and prompting training data."""

import json
from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec

from training.annotations import read_annotations, read_folder
from training.dataset import RankSampler, RecordSampler, SampleOptions, TrainingSet, collate, sample_points
from training.feed import READERS, read_sources
from training.pack import pack_file
from training.recipe import Data
from training.records import Record, Skipped
from training.views import ViewOptions, draw_view, paste_objects, place_image


def test_reading_skips_and_counts_unusable_entries(shapes_data, tmp_path):
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


def test_missing_annotations_and_wrong_images_are_named(shapes_data, tmp_path):
    with pytest.raises(ValueError, match=r"no annotation file matches .*nothing\.json"):
        read_folder(shapes_data, ["nothing"])
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"x\.json: expected a COCO instances file"):
        read_annotations(tmp_path / "x.json", tmp_path)
    record = read_folder(shapes_data, ["shapes_val"])[0]
    wrong = type(record)(**{**record.__dict__, "width": 161})
    with pytest.raises(ValueError, match="is 160x120, its annotations say 161x120"):
        wrong.read_image()


def test_a_view_without_augmentation_is_the_image_with_its_masks(shapes_data):
    for record in read_folder(shapes_data, ["shapes_val"]):
        view = draw_view(record, ViewOptions(160), np.random.default_rng(0))
        assert view.valid == (120, 160)
        np.testing.assert_array_equal(view.image[:120], record.read_image())
        assert not view.image[120:].any()
        for index, coverage in enumerate(view.coverage):
            mask = record.read_mask(index).reshape(30, 4, 40, 4).mean((1, 3))
            np.testing.assert_allclose(coverage[:30], mask, atol=1e-3)
        np.testing.assert_allclose(view.boxes, record.boxes, atol=1e-3)


def test_flip_mirrors_masks_and_boxes_with_the_image(shapes_data):
    record = read_folder(shapes_data, ["shapes_val"])[0]
    view = draw_view(record, ViewOptions(160, flip=1.0), np.random.default_rng(0))
    np.testing.assert_array_equal(view.image[:120], record.read_image()[:, ::-1])
    for index, box in enumerate(view.boxes):
        np.testing.assert_allclose(box[[0, 2]], 160 - record.boxes[index][[2, 0]], atol=1e-3)
        expected = record.read_mask(index)[:, ::-1].reshape(30, 4, 40, 4).mean((1, 3))
        np.testing.assert_allclose(view.coverage[index][:30], expected, atol=1e-3)


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
            points = sample_points(coverage, 4, rng)
            cells = ((points + 0.5) / 4).astype(int)
            assert (coverage[cells[:, 1], cells[:, 0]] >= 0.5).all()
    assert seen > 30


def training_set(records, seed: int = 7, sampling: str = "sources", **more) -> TrainingSet:
    sampler = RecordSampler({"shapes": records}, sampling, {}, seed)
    view = ViewOptions(96, zoom=(0.8, 1.5), flip=0.5, colour=0.2)
    return TrainingSet(sampler, view, SampleOptions(prompts=4), seed, **more)


@pytest.mark.parametrize("copy_paste", [0.0, 1.0])
def test_samples_are_a_function_of_seed_and_index(shapes_data, copy_paste):
    records = read_folder(shapes_data, ["shapes_train"])
    first, again = (training_set(records, copy_paste=copy_paste) for _ in range(2))
    a, b, other = first[5], again[5], training_set(records, seed=8)[5]
    for name in ("image", "coverage", "boxes", "points", "heat", "names"):
        np.testing.assert_array_equal(a[name], b[name])
    assert (a["image"] != other["image"]).any()
    batch = collate([first[0], first[1]])
    assert batch.image.shape == (2, 96, 96, 3) and batch.coverage.shape == (2, 4, 24, 24)
    assert batch.points.shape == (2, 4, 10, 2) and batch.heat.shape == (2, 24, 24)
    assert len(batch.names) == 2


def test_an_epoch_has_every_image_once_in_a_new_order(shapes_data):
    records = read_folder(shapes_data, ["shapes_train", "shapes_val"])
    sources = {"a": records[:12], "b": records[12:]}
    sampler = RecordSampler(sources, "epochs", {}, seed=3)
    assert len(sampler) == 16
    rng = np.random.default_rng(0)
    epochs = [[sampler.draw(16 * e + i, rng, 0).name for i in range(16)] for e in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(r.name for r in records)
    assert epochs[0] != epochs[1]


def test_sources_are_drawn_by_the_root_of_their_size_times_their_weight(shapes_data):
    records = read_folder(shapes_data, ["shapes_train"])
    sampler = RecordSampler({"a": records[:9], "b": records[9:10]}, "sources", {"b": 2.0}, seed=0)
    np.testing.assert_allclose(sampler.probabilities, [3 / 5, 2 / 5])
    with pytest.raises(ValueError, match=r"source_weights names \['c'\], the data have \['a', 'b'\]"):
        RecordSampler({"a": records, "b": records}, "sources", {"c": 2.0}, seed=0)


def test_processes_share_the_batches_and_a_resumed_run_continues():
    complete = list(RankSampler(0, 6, batch=2, rank=0, ranks=1))
    assert complete == list(range(12))
    parts = [list(RankSampler(0, 3, 2, rank, 2)) for rank in range(2)]
    assert parts == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
    assert list(RankSampler(2, 3, 2, 1, 2)) == parts[1][4:]


def test_a_corrupt_image_is_skipped_and_reported(shapes_data, tmp_path):
    records = read_folder(shapes_data, ["shapes_train"])
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"this is no image")
    bad = type(records[0])(**{**records[0].__dict__, "image": damaged, "name": "damaged.png"})
    data = training_set([bad, records[1]], sampling="epochs")
    lines = [line for i in range(8) for line in data[i]["skipped"]]
    assert lines and all(line.startswith("unusable records: damaged.png: cannot be read") for line in lines)
    with pytest.raises(ValueError, match=r"100 records in a row without a mask.*damaged\.png"):
        training_set([bad])[0]


def test_pasted_objects_occlude(shapes_data):
    records = read_folder(shapes_data, ["shapes_train"])
    view, giver = (draw_view(r, ViewOptions(160), np.random.default_rng(0)) for r in records[:2])
    mixed = paste_objects(view, giver, np.random.default_rng(1), max_objects=2)
    added = mixed.coverage[[any((m == g).all() for g in giver.coverage) for m in mixed.coverage]]
    assert 1 <= len(added) <= 2
    core = np.kron(added.max(0), np.ones((4, 4))) == 1
    np.testing.assert_array_equal(mixed.image[core], giver.image[core])
    outside = np.kron(added.max(0), np.ones((4, 4))) == 0
    np.testing.assert_array_equal(mixed.image[outside], view.image[outside])
    assert (mixed.coverage.sum(0) <= 1 + 1e-5).all()
    for coverage, box in zip(mixed.coverage, mixed.boxes, strict=True):
        rows, cols = np.nonzero(coverage > 0.5)
        assert box[0] <= cols.min() * 4 + 2.1 and box[3] >= rows.max() * 4 + 1.9


def drawn_record(mask: np.ndarray, box: list[float]) -> Record:
    """A grey image with one mask."""
    image = cv2.imencode(".png", np.full((*mask.shape, 3), 200, np.uint8))[1].tobytes()
    rles = [codec.encode(np.asfortranarray(mask))]
    boxes = np.array([box], np.float32)
    return Record("drawn.png", image, "drawn", *mask.shape, rles, boxes, np.zeros(1, int))


def test_pasted_objects_stay_within_the_image_and_its_padding_stays_black():
    rng = np.random.default_rng(0)
    wide, tall, low = (np.zeros(size, np.uint8) for size in ((80, 160), (160, 80), (160, 80)))
    wide[12:68, 8:152] = 1
    tall[:140, 8:72] = 1
    low[100:140, 8:72] = 1
    view = draw_view(drawn_record(wide, [8, 12, 152, 68]), ViewOptions(160), rng)
    giver = draw_view(drawn_record(tall, [8, 0, 72, 140]), ViewOptions(160), rng)
    mixed = paste_objects(view, giver, np.random.default_rng(1))
    assert mixed.valid == view.valid == (80, 160)
    assert not mixed.image[80:].any() and not mixed.coverage[:, 20:].any()
    # The tall object is cut by the lower border, the wide one by the tall one.
    np.testing.assert_allclose(mixed.boxes, [[72, 12, 152, 68], [8, 0, 72, 80]], atol=1e-3)
    below = draw_view(drawn_record(low, [8, 100, 72, 140]), ViewOptions(160), rng)
    assert paste_objects(view, below, np.random.default_rng(1)) is view


def test_a_mask_of_wires_that_cover_little_of_any_cell_has_a_box():
    fence = np.zeros((1600, 1600), np.uint8)
    fence[:, 20::40] = 1  # a fortieth of every cell
    view = draw_view(drawn_record(fence, [20, 0, 1581, 1600]), ViewOptions(160), np.random.default_rng(0))
    assert view.coverage.max() < 0.05
    np.testing.assert_allclose(view.boxes, [[2.0, 0, 158.1, 160]], atol=1e-3)
    other = np.zeros((1600, 1600), np.uint8)
    other[400:800, 400:800] = 1
    giver = draw_view(drawn_record(other, [400, 400, 800, 800]), ViewOptions(160), np.random.default_rng(0))
    mixed = paste_objects(view, giver, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.boxes, [[0, 0, 160, 160], [40, 40, 80, 80]])


def test_boxes_have_an_area_for_any_visible_part_of_their_mask():
    mask = np.zeros((200, 200), np.uint8)
    mask[90:110] = 1
    other = np.zeros((200, 200), np.uint8)
    other[90:110, 180:198] = 1
    half = drawn_record(mask, [0, 90, 100, 110])  # the box has half of the mask
    rles = [*half.rles, codec.encode(np.asfortranarray(other))]
    boxes = np.concatenate([half.boxes, np.array([[180, 90, 198, 110]], np.float32)])
    record = replace(half, rles=rles, boxes=boxes, annotators=np.zeros(2, int))
    rng = np.random.default_rng(0)
    views = [draw_view(record, ViewOptions(64, zoom=(2.2, 2.2)), rng) for _ in range(40)]
    drawn = np.concatenate([view.boxes for view in views])
    assert (drawn[:, 2:] > drawn[:, :2]).all()
    # At the right of the image nothing of the box is left, and the box is that of the mask's part.
    assert any(np.array_equal(view.boxes[0, [0, 2]], [0, 64]) for view in views if len(view.boxes) == 2)


def test_a_full_image_is_placed_as_at_zoom_1(shapes_data):
    record = read_folder(shapes_data, ["shapes_val"])[0]
    view = draw_view(record, ViewOptions(96), np.random.default_rng(0))
    image, valid = place_image(record.read_image(), ViewOptions(96))
    np.testing.assert_array_equal(image, view.image)
    assert valid == view.valid


def test_packing_keeps_info_and_skips_damaged_images(shapes_data, tmp_path):
    content = json.loads((shapes_data / "annotations" / "shapes_val.json").read_text())
    content["info"] = {"exhaustive": "partly"}
    data = tmp_path / "data"
    (data / "images" / "shapes").mkdir(parents=True)
    for entry in content["images"]:
        entry["file_name"] = entry["file_name"].replace(".png", ".jpg")
        image = cv2.imread(str(shapes_data / "images" / entry["file_name"].replace(".jpg", ".png")))
        cv2.imwrite(str(data / "images" / entry["file_name"]), image)
    cut = data / "images" / content["images"][0]["file_name"]
    cut.write_bytes(cut.read_bytes()[:2000])
    second = data / "images" / content["images"][1]["file_name"]
    content["images"][1]["file_name"] = "shapes/no_suffix"
    second.rename(data / "images" / "shapes" / "no_suffix")
    (tmp_path / "shapes_val.json").write_text(json.dumps(content))
    skipped = Skipped()
    assert pack_file(tmp_path / "shapes_val.json", data / "images", tmp_path / "out", 80, 95, skipped) == 2
    assert skipped.counts == {"unreadable images": 1, "images of a kind that cannot be written": 1}
    assert "is cut off" in skipped.examples["unreadable images"]
    packed = json.loads((tmp_path / "out" / "annotations" / "shapes_val.json").read_text())
    assert packed["info"] == {"exhaustive": "partly"} and len(packed["images"]) == 2


def test_packing_shrinks_images_and_masks_alike(shapes_data, tmp_path):
    source = shapes_data / "annotations" / "shapes_val.json"
    pack_file(source, shapes_data / "images", tmp_path, 80, 95, Skipped())
    small = read_folder(tmp_path, ["shapes_val"])
    large = read_folder(shapes_data, ["shapes_val"])
    assert [r.width for r in small] == [80] * 4
    for a, b in zip(small, large, strict=True):
        assert a.read_image().shape == (60, 80, 3)
        np.testing.assert_allclose(a.boxes * 2, b.boxes[: len(a.boxes)], atol=2.1)


def test_every_kind_of_data_has_a_reader_or_is_a_stream(tmp_path):
    kinds = set(get_args(Data.model_fields["kind"].annotation))
    assert set(READERS) < kinds
    for kind in kinds - set(READERS):
        with pytest.raises(ValueError, match=f"'{kind}' are a stream; expected one of coco"):
            read_sources(Data(kind=kind), tmp_path)
