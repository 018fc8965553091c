# SPDX-License-Identifier: Apache-2.0
"""The layouts of CamVid, Cityscapes and ADE20K, and data that do not fit them."""

import cv2
import numpy as np
import PIL.Image as Pillow
import pytest

from evitsam_ros.dense.class_tables import IGNORED, class_table
from training.bicubic import half_size
from training.dense_views import DenseOptions, Photograph, read_photographs, semantic_view, upscale_view
from training.label_maps import CITYSCAPES_IDS, read_label_maps, read_photograph
from training.records import DataError

from .dense_data import stripes, write, write_ade20k, write_camvid, write_cityscapes

CASES = {
    "camvid": ("train", write_camvid, 4),
    "cityscapes": ("val", write_cityscapes, 8),
    "ade20k": ("validation", write_ade20k, 4),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_layout_gives_the_classes_that_were_written(kind, tmp_path):
    split, write_data, void_rows = CASES[kind]
    write_data(tmp_path)
    record = read_label_maps(kind, tmp_path, split)[0]
    image, labels = record.read()
    _, classes = stripes(np.random.default_rng(0))
    assert image.shape == (72, 96, 3)
    assert (labels[:void_rows] == IGNORED).all()
    np.testing.assert_array_equal(labels[void_rows:], classes[void_rows:])


def test_cityscapes_ids_are_those_of_its_classes():
    names = class_table("cityscapes").names
    assert len(CITYSCAPES_IDS) == len(names)
    by_id = dict(zip(CITYSCAPES_IDS, names, strict=True))
    assert by_id[7] == "road" and by_id[24] == "person" and by_id[33] == "bicycle"


def test_missing_folders_and_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*train; .* has no folders"):
        read_label_maps("camvid", tmp_path, "train")
    write_camvid(tmp_path)
    with pytest.raises(DataError, match="has train, trainannot"):
        read_label_maps("camvid", tmp_path, "val")
    (tmp_path / "trainannot" / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png is missing"):
        read_label_maps("camvid", tmp_path, "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images of camvid's split 'empty'"):
        read_label_maps("camvid", tmp_path, "empty")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.full((72, 96), 12, np.uint8), "has the value 12, which is not a label"),
        (np.zeros((72, 96, 3), np.uint8), "one channel of 8 bits"),
        (np.zeros((72, 96), np.uint16), "one channel of 8 bits"),
        (np.zeros((36, 48), np.uint8), "the image is 96x72, its label map 48x36"),
    ],
)
def test_label_maps_of_another_kind_are_rejected_by_name(tmp_path, labels, text):
    write_camvid(tmp_path, count=1)
    write(tmp_path / "trainannot" / "0.png", labels)
    (record,) = read_label_maps("camvid", tmp_path, "train")
    with pytest.raises(ValueError, match=text):
        record.read()


@pytest.mark.parametrize("zoom", [(1.0, 1.0), (0.5, 0.5), (1.0, 2.0)])
def test_image_and_labels_of_a_view_stay_together(tmp_path, zoom):
    write_camvid(tmp_path)
    for number, record in enumerate(read_label_maps("camvid", tmp_path, "train")):
        view = semantic_view(record, DenseOptions(64, zoom, flip=0.5), np.random.default_rng(number))
        image, target = view["image"].astype(int), view["target"]
        assert image.shape == (64, 64, 3) and target.shape == (64, 64)
        labelled = target != IGNORED
        # The strongest channel is the class; pixels at a border are mixed.
        assert (image.argmax(2)[labelled] == target[labelled]).mean() > 0.97
        assert labelled.any() and not image[(image.sum(2) == 0)].any()


def test_colour_changes_the_image_and_not_the_labels(tmp_path):
    write_camvid(tmp_path, count=1)
    (record,) = read_label_maps("camvid", tmp_path, "train")
    views = [
        semantic_view(record, DenseOptions(64, colour=colour, flip=0.0), np.random.default_rng(1))
        for colour in (0.0, 0.5)
    ]
    np.testing.assert_array_equal(views[0]["target"], views[1]["target"])
    assert (views[0]["image"] != views[1]["image"]).mean() > 0.5


def test_patches_of_both_resolutions_show_the_same(tmp_path, photograph):
    write(tmp_path / "a" / "astronaut.png", photograph[:101, :120])
    (record,) = read_photographs(tmp_path, ("*",))
    assert record.name == "a/astronaut.png"
    for seed in range(6):
        view = upscale_view(record, DenseOptions(24), np.random.default_rng(seed))
        assert view["image"].shape == (24, 24, 3) and view["target"].shape == (48, 48, 3)
        inner = np.s_[4:-4, 4:-4]  # at its ends a patch lacks its neighbours
        difference = np.abs(half_size(view["target"])[inner].astype(int) - view["image"][inner])
        assert difference.max() <= 1


def test_small_damaged_and_missing_photographs_are_named(tmp_path, photograph):
    write(tmp_path / "small.png", photograph[:40, :40])
    record = Photograph("small.png", tmp_path / "small.png")
    with pytest.raises(ValueError, match=r"small\.png is 40x40; expected sides of at least 48"):
        upscale_view(record, DenseOptions(24), np.random.default_rng(0))
    good, encoded = cv2.imencode(".jpg", photograph)
    assert good
    (tmp_path / "cut.jpg").write_bytes(encoded.tobytes()[:-5000])
    with pytest.raises(ValueError, match=r"cut\.jpg: .*cut off"):
        upscale_view(Photograph("cut.jpg", tmp_path / "cut.jpg"), DenseOptions(24), np.random.default_rng(0))
    with pytest.raises(DataError, match=r"no JPEG or PNG file that matches nothing\*"):
        read_photographs(tmp_path, ("nothing*",))


def test_stored_pixels_count_whatever_turn_exif_asks_for(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    pixels = cv2.resize(pixels, (96, 64), interpolation=cv2.INTER_CUBIC)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    Pillow.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=98, subsampling=0)
    found = read_photograph(tmp_path / "a.jpg")
    assert found.shape == pixels.shape and np.abs(found.astype(int) - pixels).mean() < 4
