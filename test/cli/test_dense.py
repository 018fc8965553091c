# SPDX-License-Identifier: Apache-2.0
"""``evitsam segment --semantic``, ``evitsam upscale`` and the export of their bundles."""

import json

import cv2
import numpy as np
import pytest

from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter, open_semantic
from evitsam_ros.io.image_files import LOSSLESS, check_lossless_ending, write_image
from evitsam_ros.io.video_files import Video

from ..nodes.colour_classes import write_colour_classes

INT8 = ("--precision", "int8", "--backend", "onnxruntime")


@pytest.fixture(scope="module")
def street(tmp_path_factory, photograph):
    path = tmp_path_factory.mktemp("pictures") / "street.png"
    small = cv2.resize(photograph, (120, 90), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture(scope="module")
def semantic_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "semantic"
    command = ["export", "--model", "efficientvit_seg_b0_camvid", "--out", str(folder)]
    assert main([*command, "--image-size", "96x128"]) == 0
    return folder


@pytest.fixture(scope="module")
def upscale_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "upscale"
    assert (
        main(["export", "--model", "efficientvit_sr_tiny", "--out", str(folder), "--image-size", "64"]) == 0
    )
    return folder


def test_semantic_writes_overlay_labels_and_shares(street, semantic_folder, tmp_path, capsys):
    out, labels, record = (tmp_path / name for name in ("drawn.png", "labels.png", "report.json"))
    command = ["segment", str(street), "--semantic", "--semantic-model", str(semantic_folder)]
    assert main([*command, "--out", str(out), "--labels", str(labels), "--json", str(record)]) == 0
    drawn, values = cv2.imread(str(out)), cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
    assert drawn.shape == (90, 120, 3) and values.shape == (90, 120) and values.dtype == np.uint8
    report = json.loads(record.read_text())
    assert report["labels"] == {n: i for i, n in enumerate(open_semantic(semantic_folder).classes.names, 1)}
    for name, share in report["shares"].items():
        assert share == pytest.approx((values == report["labels"][name]).mean())
    assert next(iter(report["shares"])) in capsys.readouterr().out


def test_masks_get_their_majority_class(street, semantic_folder, bundle_folder, tmp_path, capsys):
    record, labels = tmp_path / "masks.json", tmp_path / "labels.png"
    semantic = ["--semantic", "--semantic-model", str(semantic_folder)]
    assert (
        main(["segment", str(street), *semantic, "--labels", str(labels), "--out", str(tmp_path / "s.png")])
        == 0
    )
    prompted = ["--box", "10,10,100,80", "--model", str(bundle_folder), "--out", str(tmp_path / "m.png")]
    assert main(["segment", str(street), *prompted, *semantic, "--json", str(record)]) == 0
    (mask,) = json.loads(record.read_text())["masks"]
    from pycocotools import mask as codec

    inside = codec.decode(mask["segmentation"]).astype(bool)
    values = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)[inside]
    names = open_semantic(semantic_folder).classes.names
    if len(values):
        assert mask["class"] == names[np.bincount(values).argmax() - 1]
        assert mask["class"] in capsys.readouterr().out


def test_semantic_of_a_folder_of_frames(street, semantic_folder, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        (frames / f"{number}.png").write_bytes(street.read_bytes())
    out, record = tmp_path / "drive.avi", tmp_path / "drive.json"
    command = ["segment", str(frames), "--semantic", "--semantic-model", str(semantic_folder)]
    assert main([*command, "--out", str(out), "--json", str(record)]) == 0
    assert sum(1 for _ in Video(out).frames()) == 3
    assert [frame["file_name"] for frame in json.loads(record.read_text())["frames"]] == [
        "0.png",
        "1.png",
        "2.png",
    ]


def test_masks_of_a_folder_of_frames_have_classes(street, semantic_folder, bundle_folder, tmp_path):
    frames, record, alone = tmp_path / "frames", tmp_path / "drive.json", tmp_path / "one.json"
    frames.mkdir()
    for number in range(2):
        (frames / f"{number}.png").write_bytes(street.read_bytes())
    prompted = ["--box", "10,10,100,80", "--model", str(bundle_folder)]
    prompted += ["--semantic", "--semantic-model", str(semantic_folder)]
    out = ["--out", str(tmp_path / "drive.avi"), "--json", str(record)]
    assert main(["segment", str(frames), *prompted, *out]) == 0
    out = ["--out", str(tmp_path / "one.png"), "--json", str(alone)]
    assert main(["segment", str(street), *prompted, *out]) == 0
    (expected,) = json.loads(alone.read_text())["masks"]
    found = json.loads(record.read_text())["annotations"]
    assert [each.get("class") for each in found] == [expected.get("class")] * 2


def test_upscale_doubles_an_image_and_a_video(street, upscale_folder, tmp_path):
    out = tmp_path / "large.png"
    assert main(["upscale", str(street), "--model", str(upscale_folder), "--out", str(out)]) == 0
    assert cv2.imread(str(out)).shape == (180, 240, 3)
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "0.png").write_bytes(street.read_bytes())
    video = tmp_path / "large.avi"
    assert main(["upscale", str(frames), "--model", str(upscale_folder), "--out", str(video)]) == 0
    assert next(Video(video).frames()).shape == (180, 240, 3)


def test_a_large_image_is_segmented_in_tiles(photograph, tmp_path):
    bundle = write_colour_classes(tmp_path / "colours")
    path, labels = tmp_path / "large.png", tmp_path / "labels.png"
    image = cv2.resize(photograph, (200, 150), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    command = ["segment", str(path), "--semantic", "--semantic-model", str(bundle), "--tiles"]
    command += ["--backend", "onnxruntime", "--precision", "fp32"]
    assert main([*command, "--labels", str(labels), "--out", str(tmp_path / "drawn.png")]) == 0
    segmenter = SemanticSegmenter.open(bundle, "onnxruntime")
    values = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(values, segmenter.segment(image, tiles=True).labels)
    assert (values != segmenter.segment(image).labels).any()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["segment", "PICTURE", "--tiles"], "are for --semantic"),
        (["upscale", "PICTURE", "--model", "UPSCALE", *INT8], "would run in fp32"),
        (["segment", "PICTURE", "--labels", "x.png"], "are for --semantic"),
        (["segment", "PICTURE", "--semantic", "--model", "other"], "name the semantic bundle with"),
        (["segment", "PICTURE", "--semantic", "--track"], "classes have no ids"),
        (["segment", "PICTURE", "--semantic", "--score-threshold", "2"], "is not between 0 and 1"),
        (["segment", "PICTURE", "--semantic", "--everything", "--labels", "x.png"], "without prompts"),
        (["segment", "PICTURE", "--semantic", "--semantic-model", "UPSCALE"], "of kind 'upscale'"),
        (["upscale", "PICTURE", "--model", "SEMANTIC"], "of kind 'semantic'; expected 'upscale'"),
        (["upscale", "PICTURE", "--out", "PICTURE"], "never written over"),
        (["segment", "PICTURE", "--everything", "--model", "SEMANTIC"], "of kind 'semantic'"),
        (["export", "--model", "lite_sam", "--out", "x", "--image-size", "64x96"], "takes squares"),
    ],
)
def test_invalid_combinations_are_named(
    arguments, text, street, semantic_folder, upscale_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    paths = {"PICTURE": str(street), "SEMANTIC": str(semantic_folder), "UPSCALE": str(upscale_folder)}
    assert main([paths.get(word, word) for word in arguments]) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["semantic", "upscale"])
def test_every_kind_of_bundle_is_packed_and_installed(kind, request, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    packed = tmp_path / f"{kind}.tar"
    folder = request.getfixturevalue(f"{kind}_folder")
    assert main(["pack", "--model", str(folder), "--out", str(packed)]) == 0
    assert main(["fetch", "--from", str(packed)]) == 0
    installed = tmp_path / "data" / "evitsam" / "models" / kind
    assert capsys.readouterr().out.splitlines()[-1] == str(installed)
    names = {path.name for path in folder.iterdir()}
    assert {path.name: path.read_bytes() for path in installed.iterdir()} == {
        name: (folder / name).read_bytes() for name in names
    }


def test_networks_are_listed(capsys):
    assert main(["models", "--dense"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("efficientvit_seg_b0_cityscapes") and "4.40 G" in line for line in lines)
    assert any(line.endswith("evitsam fetch efficientvit_seg_b3_ade20k") for line in lines)


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".gif"])
def test_a_label_map_is_not_written_where_its_values_would_change(street, tmp_path, capsys, ending):
    words = ["segment", str(street), "--semantic", "--out", str(tmp_path / "o.png")]
    assert main([*words, "--labels", str(tmp_path / f"labels{ending}")]) == 1
    assert f"has the ending '{ending}', whose format changes values" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", LOSSLESS)
def test_the_formats_of_label_maps_keep_every_value(tmp_path, ending):
    labels = np.random.default_rng(0).integers(0, 255, (37, 53), dtype=np.uint8)
    path = tmp_path / f"labels{ending}"
    check_lossless_ending(path)
    write_image(path, labels)
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), labels)
