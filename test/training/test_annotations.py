# SPDX-License-Identifier: Apache-2.0
"""Test annotation files with inconsistent entries: they are left out, with the reason."""

import json
import math

import numpy as np
import pytest

from training.annotations import read_annotations, read_folder, read_info
from training.records import DataError

from .annotation_files import HEIGHT, WIDTH, check, compressed, content, make_folder, read, runs, squares

NAN, INF = math.nan, math.inf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("annotations"))


def test_the_three_forms_of_a_mask_are_read_alike(folder):
    records, skipped = read(folder, content())
    assert not skipped.counts and len(records) == 3
    for record in records:
        for index, expected in enumerate(squares()):
            np.testing.assert_array_equal(record.read_mask(index), expected)
        np.testing.assert_array_equal(record.boxes, [[10, 5, 30, 15], [30, 20, 50, 30], [40, 2, 58, 6]])
        assert record.image == folder / "images" / record.name


BAD_ANNOTATIONS = {
    "no entries": ({"segmentation": None}, "empty masks"),
    "empty list": ({"segmentation": []}, "empty masks"),
    "empty polygon": ({"segmentation": [[]]}, "short polygons"),
    "two points": ({"segmentation": [[10, 10, 20, 20]]}, "short polygons"),
    "odd polygon": ({"segmentation": [[10, 10, 20, 10, 20, 20, 10]]}, "malformed masks"),
    "flat polygon": ({"segmentation": [10, 10, 20, 10, 20, 20]}, "malformed masks"),
    "pairs": ({"segmentation": [[[10, 10], [20, 10], [20, 20]]]}, "malformed masks"),
    "text": ({"segmentation": "polygon"}, "malformed masks"),
    "number": ({"segmentation": 7}, "malformed masks"),
    "list of RLE": ({"segmentation": [compressed(squares()[0])]}, "malformed masks"),
    "texts": ({"segmentation": [["10", "10", "20", "10", "20", "20"]]}, "malformed masks"),
    "flags": ({"segmentation": [[True, True, False, False, True, False]]}, "malformed masks"),
    "NaN": ({"segmentation": [[10, 10, NAN, 10, 20, 20]]}, "polygons far outside"),
    "infinite": ({"segmentation": [[10, 10, INF, 10, 20, 20]]}, "polygons far outside"),
    "far": ({"segmentation": [[10, 10, 1e9, 10, 20, 20]]}, "polygons far outside"),
    "far below": ({"segmentation": [[10, -2e8, 20, 10, 20, 20]]}, "polygons far outside"),
    "400 digits": ({"segmentation": [[10, 10, 10**400, 10, 20, 20]]}, "polygons far outside"),
    "thin polygon": ({"segmentation": [[10, 10, 10, 10, 10, 10]]}, "empty masks"),
    "beside": ({"segmentation": [[-20, -20, -10, -20, -10, -10]]}, "empty masks"),
    "long outline": ({"segmentation": [[0, 0, 60, 40] * 10_000]}, "malformed masks"),
    "many polygons": ({"segmentation": [[0, 0, 1, 0, 1, 1]] * 10_001}, "malformed masks"),
    "another size": ({"segmentation": compressed(squares()[0][:20])}, "masks of another size"),
    "turned": ({"segmentation": compressed(squares()[0].T)}, "masks of another size"),
    "no size": ({"segmentation": {"counts": "abc"}}, "masks of another size"),
    "no counts": ({"segmentation": {"size": [HEIGHT, WIDTH]}}, "malformed masks"),
    "empty counts": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": ""}}, "damaged RLE masks"),
    "cut counts": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "`o0"}}, "damaged RLE masks"),
    "open counts": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "0`"}}, "damaged RLE masks"),
    "no RLE": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "é € \x00\x7f"}}, "damaged RLE masks"),
    "surrogate": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "\ud800"}}, "damaged RLE masks"),
    "huge run": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": "0oooooooooo0"}}, "damaged RLE masks"),
    "below 0": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [-5, 2405]}}, "malformed masks"),
    "short runs": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [50, 100]}}, "damaged RLE masks"),
    "long runs": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [50, 10**300]}}, "damaged RLE masks"),
    "no pixel": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [2400]}}, "empty masks"),
    "run of text": ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": ["2400"]}}, "malformed masks"),
    "text box": ({"bbox": "10,5,20,10"}, "malformed boxes"),
    "short box": ({"bbox": [10, 5, 20]}, "malformed boxes"),
    "null in a box": ({"bbox": [10, 5, None, 10]}, "malformed boxes"),
    "NaN in a box": ({"bbox": [10, NAN, 20, 10]}, "malformed boxes"),
    "infinite box": ({"bbox": [10, 5, INF, 10]}, "malformed boxes"),
    "huge box": ({"bbox": [10, 5, 10**400, 10]}, "malformed boxes"),
    "empty box": ({"bbox": [10, 5, 0, 10]}, "empty masks"),
    "corners": (
        {"bbox": [30, 20, 50, 30], "segmentation": runs(squares()[1])},
        "boxes that do not fit their masks",
    ),
    "elsewhere": ({"bbox": [35, 20, 20, 10]}, "boxes that do not fit their masks"),
    "outside": ({"bbox": [1000, 1000, 20, 10]}, "boxes that do not fit their masks"),
    "whole image": ({"bbox": [0, 0, WIDTH, HEIGHT]}, "boxes that do not fit their masks"),
    "annotator": ({"annotator": "anna"}, "malformed annotators"),
    "annotator 2": ({"annotator": 2**80}, "malformed annotators"),
    "crowd": ({"iscrowd": "no"}, "malformed annotations"),
    "crowd 2": ({"iscrowd": [0]}, "malformed annotations"),
    "image id text": ({"image_id": "1"}, "annotations of no image"),
    "image id list": ({"image_id": [1]}, "annotations of no image"),
    "image id null": ({"image_id": None}, "annotations of no image"),
    "image id NaN": ({"image_id": NAN}, "annotations of no image"),
    "image id flag": ({"image_id": True}, "annotations of no image"),
    "image id 9": ({"image_id": 9}, "annotations of no image"),
}


@pytest.mark.parametrize("change, reason", BAD_ANNOTATIONS.values(), ids=BAD_ANNOTATIONS)
def test_a_bad_annotation_is_left_out_counted_and_named(folder, change, reason, caplog):
    data = content()
    data["annotations"][0].update(change)
    records, skipped = read(folder, data)
    check(records)
    assert skipped.counts == {reason: 1}
    assert [len(record.rles) for record in records] == [2, 3, 3]
    assert "mine_train.json annotation 1: " in skipped.examples[reason]
    assert skipped.examples[reason] in caplog.text and len(skipped.examples[reason]) < 400


@pytest.mark.parametrize("value", [None, 3, "x", [], [1]])
def test_entries_of_the_lists_that_are_no_objects_are_left_out(folder, value):
    data = content()
    data["annotations"].insert(0, value)
    data["images"].insert(0, value)
    records, skipped = read(folder, data)
    assert len(records) == 3
    assert skipped.counts == {"malformed images": 1, "malformed annotations": 1}


@pytest.mark.parametrize("key", ["segmentation", "image_id"])
def test_an_annotation_without_a_needed_entry_is_left_out(folder, key):
    data = content()
    del data["annotations"][0][key]
    records, skipped = read(folder, data)
    assert [len(record.rles) for record in records] == [2, 3, 3] and sum(skipped.counts.values()) == 1


@pytest.mark.parametrize("box", [None, [], "missing"])
def test_a_missing_box_is_that_of_the_mask(folder, box):
    data = content()
    for annotation in data["annotations"]:
        annotation["bbox"] = box
        if box == "missing":
            del annotation["bbox"], annotation["id"], annotation["iscrowd"], annotation["category_id"]
    records, skipped = read(folder, data)
    assert not skipped.counts
    for record in records:
        np.testing.assert_array_equal(record.boxes, [[10, 5, 30, 15], [30, 20, 50, 30], [40, 2, 58, 6]])


def test_only_the_short_polygon_of_several_is_skipped(folder):
    data = content()
    data["annotations"][2]["segmentation"] += [[1, 1, 2, 2], []]
    records, skipped = read(folder, data)
    assert skipped.counts == {"short polygons": 1} and "2 of 3" in skipped.examples["short polygons"]
    np.testing.assert_array_equal(records[0].read_mask(2), squares()[2])


def test_a_box_that_sticks_out_is_cut_and_runs_of_no_pixel_are_joined(folder):
    data = content()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, 50:] = 1
    data["annotations"][0].update(segmentation=compressed(mask), bbox=[49.7, -0.4, 10.9, 41])
    data["annotations"][1]["segmentation"] = {"size": [40, 60], "counts": [0, 0, 400, 40, 0, 40, 1920]}
    data["annotations"][1]["bbox"] = None
    records, skipped = read(folder, data)
    assert not skipped.counts
    np.testing.assert_allclose(records[0].boxes[0], [49.7, 0, 60, 40], atol=1e-5)
    np.testing.assert_array_equal(records[0].boxes[1], [10, 0, 12, 40])
    assert records[0].read_mask(1)[:, 10:12].all() and records[0].read_mask(1).sum() == 80


BAD_IMAGES = {
    "no height": ({"height": None}, "images of an impossible size"),
    "height 0": ({"height": 0}, "images of an impossible size"),
    "negative": ({"width": -60}, "images of an impossible size"),
    "text": ({"width": "60"}, "images of an impossible size"),
    "half a pixel": ({"width": 60.5}, "images of an impossible size"),
    "NaN": ({"height": NAN}, "images of an impossible size"),
    "infinite": ({"height": INF}, "images of an impossible size"),
    "flag": ({"height": True}, "images of an impossible size"),
    "2 billion": ({"height": 2_000_000_000, "width": 2_000_000_000}, "images of an impossible size"),
    "400 digits": ({"height": 10**400}, "images of an impossible size"),
    "many pixels": ({"height": 16000, "width": 16000}, "images of an impossible size"),
    "no name": ({"file_name": None}, "malformed file names"),
    "empty name": ({"file_name": ""}, "malformed file names"),
    "number": ({"file_name": 7}, "malformed file names"),
    "backslash": ({"file_name": "some\\1.png"}, "malformed file names"),
    "null byte": ({"file_name": "some/1.png\x00"}, "malformed file names"),
    "surrogate": ({"file_name": "some/\ud800.png"}, "malformed file names"),
    "new line": ({"file_name": "some/1.png\n"}, "malformed file names"),
    "absolute": ({"file_name": "/etc/passwd"}, "file names outside the folder"),
    "up": ({"file_name": "../annotations/mine_train.json"}, "file names outside the folder"),
    "up inside": ({"file_name": "some/../../images/some/1.png"}, "file names outside the folder"),
    "doubled folder": ({"file_name": "images/some/1.png"}, "missing images"),
    "missing": ({"file_name": "some/9.png"}, "missing images"),
    "folder": ({"file_name": "some"}, "missing images"),
    "long": ({"file_name": "a" * 100_000}, "missing images"),
    "wrong case": ({"file_name": "Some/1.png"}, "missing images"),
}


@pytest.mark.parametrize("change, reason", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_a_bad_image_is_left_out_with_its_masks(folder, change, reason):
    data = content()
    data["images"][0].update(change)
    records, skipped = read(folder, data)
    assert [record.name for record in records] == ["some/2.png", "some/3.png"]
    assert skipped.counts == {reason: 1}
    assert "mine_train.json image 1: " in skipped.examples[reason] and len(skipped.examples[reason]) < 400


def test_an_absolute_name_is_no_way_out_even_where_the_file_is_there(folder):
    data = content()
    data["images"][0]["file_name"] = str(folder / "images" / "some" / "1.png")
    assert read(folder, data)[1].counts == {"file names outside the folder": 1}


def test_of_two_images_with_one_id_neither_is_used(folder):
    data = content()
    data["images"][1]["id"] = 1
    records, skipped = read(folder, data)
    assert [record.name for record in records] == ["some/3.png"]
    assert skipped.counts["images of the same id"] == 1
    data = content()
    data["images"].append(dict(data["images"][0]))  # the same image twice is none too many
    assert len(read(folder, data)[0]) == 3


def test_ids_that_are_texts_on_both_sides_are_ids(folder):
    data = content()
    for entry in data["images"]:
        entry["id"] = str(entry["id"])
    for entry in data["annotations"]:
        entry["image_id"] = str(entry["image_id"])
    records, skipped = read(folder, data)
    assert len(records) == 3 and not skipped.counts


def test_lvis_names_its_images_by_their_address(folder):
    data = content()
    for entry in data["images"]:
        entry["coco_url"] = f"http://images.example.org/{entry.pop('file_name')}"
    assert [record.name for record in read(folder, data)[0]] == ["some/1.png", "some/2.png", "some/3.png"]
    data["images"][0]["coco_url"] = 5
    assert read(folder, data)[1].counts == {"malformed file names": 1}


WHOLE = json.dumps(content())
BAD_FILES = {
    "list": "[1, 2]",
    "empty": "",
    "text": '"images"',
    "cut off": WHOLE[:-200],
    "not JSON": "{images: []}",
    "not UTF-8": b'{"images": "\xe9"}',
    "UTF-16": WHOLE.encode("utf-16"),
    "no lists": '{"images": [], "annotations": {}}',
    "no annotations": '{"images": []}',
    "nested": '{"images": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "digits": '{"images": [' + "9" * 100_000 + "]}",
    "zeros": bytes(100_000),
}


@pytest.mark.parametrize("data", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_instances_file_is_named(tmp_path, data):
    file = tmp_path / "x_train.json"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    with pytest.raises(DataError, match=r"x_train\.json: expected a COCO instances file") as caught:
        read_annotations(file, tmp_path)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_or_held_in_memory_is_named(tmp_path, monkeypatch):
    for name in ("missing.json", "."):
        with pytest.raises(DataError, match="expected a COCO instances file; there is no such file"):
            read_annotations(tmp_path / name, tmp_path)
    file = tmp_path / "x.json"
    file.write_text(WHOLE)
    monkeypatch.setattr("training.json_file.available_memory", lambda: 1000)
    with pytest.raises(DataError, match=r"x\.json: .*needs some .* GB of memory"):
        read_annotations(file, tmp_path)


def test_info_of_any_type_is_read(tmp_path):
    for info, expected in (({"exhaustive": "partly"}, {"exhaustive": "partly"}), ([1], {}), (None, {})):
        (tmp_path / "x.json").write_text(json.dumps({"info": info}))
        assert read_info(tmp_path / "x.json") == expected


def test_a_folder_without_a_usable_mask_is_an_error_with_the_reasons(folder):
    data = content()
    for annotation in data["annotations"]:
        annotation["image_id"] = str(annotation["image_id"])
    read(folder, data, "texts_train")
    expected = (
        r"no image with a usable mask.*9 annotations of no image \(texts_train\.json annotation 1: .*'1'"
    )
    with pytest.raises(DataError, match=expected):
        read_folder(folder, ["texts_train"])
