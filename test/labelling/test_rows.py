# SPDX-License-Identifier: Apache-2.0
"""Rows of labels against the segmenter itself and pycocotools, in this process."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec

from evitsam_ros.cli import build_parser
from evitsam_ros.cli.label import job_of
from evitsam_ros.labelling.inputs import InputError, find_units
from evitsam_ros.labelling.isolated import IsolatedLabeller
from evitsam_ros.labelling.job import Job, JobError
from evitsam_ros.labelling.labeller import open_labeller
from evitsam_ros.labelling.store import FORMAT, Store
from evitsam_ros.segment import Prompt, Segmenter

from .in_process import labelled
from .scenes import rows, scene, without, write_bag, write_folder, write_shard

BOXES = ((5.0, 15.0, 70.0, 55.0), (80.0, 55.0, 120.0, 90.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("in") / "pictures", 5)


@pytest.fixture(scope="module")
def from_folder(folder, options, tmp_path_factory):
    return labelled(tmp_path_factory.mktemp("labels") / "out", [folder], options)


def test_rows_are_the_masks_of_the_segmenter(from_folder, folder, colour):
    segmenter = Segmenter.open(colour, "onnxruntime", 1)
    prompts = [Prompt.parse(box=list(box)) for box in BOXES]
    assert len(from_folder) == 10
    for row in from_folder:
        image = np.ascontiguousarray(scene(int(row["name"][5]))[..., ::-1])
        masks = segmenter.decode(segmenter.embed(image), prompts)
        index = row["object_id"] - 1
        rle = {"size": [row["height"], row["width"]], "counts": row["rle"]}
        assert np.array_equal(codec.decode(rle).astype(bool), masks.full()[index])
        assert row["area"] == codec.area(rle) > 500
        assert row["box"] == [np.float32(value) for value in masks.boxes[index]]
        assert row["score"] == masks.scores[index]
        assert row["recording"] == str(folder) and row["frame"] is None and row["stamp"] is None


def test_shards_and_bags_have_the_rows_of_the_folder(from_folder, options, tmp_path):
    place = ("recording", "topic", "stamp", "frame", "name")
    shard = labelled(tmp_path / "a", [write_shard(tmp_path / "s.tar", 5)], options)
    assert without(shard, "recording") == without(from_folder, "recording")
    bag = labelled(tmp_path / "b", [write_bag(tmp_path / "bag", 5, ("/left", "/right"))], options)
    assert {row["topic"] for row in bag} == {"/left", "/right"} and len(bag) == 20
    left = [row for row in bag if row["topic"] == "/left"]
    assert [row["frame"] for row in left[::2]] == [0, 1, 2, 3, 4]
    assert [row["stamp"] for row in left[::2]] == [number * 10**9 + 5 * 10**8 for number in range(5)]
    assert without(left, *place) == without(from_folder, *place)


def test_parts_of_a_recording_are_the_recording(options, tmp_path):
    bag = write_bag(tmp_path / "bag", 5)
    complete = labelled(tmp_path / "a", [bag], options)
    cut = labelled(tmp_path / "b", [bag], options, "--cut", "2")
    assert len(list((tmp_path / "b" / "masks").glob("*.parquet"))) == 3
    assert cut == complete


def test_videos_are_read_to_their_end(options, tmp_path):
    path = tmp_path / "drive.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 10, (128, 96))
    for number in range(5):
        video.write(scene(number))
    video.release()
    found = labelled(tmp_path / "out", [path], options, "--cut", "2")
    assert [row["frame"] for row in found[::2]] == [0, 1, 2, 3, 4]


def test_ids_last_through_a_folder(colour, folder, tmp_path):
    options = ("--everything", "--model", str(colour), "--backend", "onnxruntime", "--track")
    found = labelled(tmp_path / "out", [folder], options)
    reds = {row["object_id"] for row in found if row["box"][1] < 50}
    greens = {row["object_id"] for row in found if row["box"][1] > 50}
    assert len(found) == 10 and len(reds) == len(greens) == 1 and reds != greens
    assert sorted({row["frame"] for row in found}) == [0, 1, 2, 3, 4]


def test_damaged_images_are_named_in_the_frames(folder, options, tmp_path):
    images = tmp_path / "pictures"
    write_folder(images, 2)
    (images / "bad.png").write_bytes((images / "image0.png").read_bytes()[:90])
    labelled(tmp_path / "out", [images], options)
    frames = {row["name"]: row for row in rows(tmp_path / "out", "frames")}
    assert frames["bad.png"]["height"] is None and "bad.png" in frames["bad.png"]["error"]
    assert frames["image1.png"]["error"] is None and frames["image1.png"]["masks"] == 2


def test_every_form_of_an_input(folder, tmp_path, options):
    job = job_of(build_parser().parse_args(["label", "x", *options]))
    names = {f"image{number}.png" for number in range(5)}
    listed = tmp_path / "list.txt"
    listed.write_text(
        f"# images\n{folder}/image[01].png\n\nfile://{folder}/image2.png\n{folder}/image[34].png\n"
    )
    for inputs in (
        [str(folder)],
        [f"{folder}/*.png"],
        [str(listed)],
        [f"file://{folder}"],
        [f"file://{folder}/*.png"],
    ):
        assert {name for unit in find_units(inputs, job) for name in unit.names} == names, inputs
    both = list(find_units([str(folder), f"{folder}/*.png"], job))
    assert len(both) == 1, "an input that is given twice is labelled once"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere", "does not exist"),
        ("*.nothing", "matches no file"),
        ("s3://key:secret@bucket/x.tar", "credentials"),
        ("nosuch://bucket/x", "cannot be opened"),
        ("", "empty"),
        ("file.xyz", "ending '.xyz'"),
        ("old.bag", "ROS 1"),
        ("empty", "without images"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_clear_line(text, words, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.xyz").write_bytes(b"\1\2 text")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "empty").mkdir()
    job = job_of(build_parser().parse_args(["label", "x", *options]))
    with pytest.raises(JobError, match=words) as caught:
        list(find_units([text], job))
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_topic_lists_the_others(options, tmp_path):
    bag = write_bag(tmp_path / "bag", 1)
    job = job_of(build_parser().parse_args(["label", "x", *options, "--topic", "/rear"]))
    with pytest.raises(InputError, match=r"'/rear'.*/front"):
        list(find_units([str(bag)], job))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--everything", "--box", "1,2,3,4"),
        ("--detections", "/d", "--everything"),
        ("--detections", "/d", "--track"),
        ("--semantic", "--track"),
        ("--everything", "--semantic", "--score-threshold", "2"),
        ("--everything", "--score-threshold", "0.5"),
        ("--everything", "--bags", "--cut", "5"),
        ("--semantic", "--bags"),
    ],
)
def test_options_that_do_not_go_together(words):
    with pytest.raises(ValueError):
        job_of(build_parser().parse_args(["label", "x", *words]))


def test_another_model_on_a_node_is_one_clear_line(colour, options, tmp_path):
    """The bundle of a worker's machine is not that of the manifest."""
    own = tmp_path / "colour"
    shutil.copytree(colour, own)
    job = job_of(build_parser().parse_args(["label", "x", *options, "--model", str(own)]))
    store = Store(str(tmp_path / "out"))
    store.open(job, job.models(), {})
    assert open_labeller(job, store, 1).segmenter is not None
    with (own / "model.yaml").open("a") as file:
        file.write("# of another version\n")
    with pytest.raises(JobError, match="copy it to every node"):
        open_labeller(job, store, 1)


def test_a_list_may_have_a_byte_order_mark_and_windows_line_ends(tmp_path):
    folder = write_folder(tmp_path / "images", 3)
    (tmp_path / "list.txt").write_bytes(
        b"\xef\xbb\xbf" + f"{folder}/image0.png\r\n# words\r\n\r\n{folder}/image2.png\r\n".encode()
    )
    (unit,) = find_units([str(tmp_path / "list.txt")], Job(everything=True))
    assert unit.names == ("image0.png", "image2.png")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"LIST", "contains itself"),
        ("a.png\n".encode("utf-16"), "expected a text in UTF-8"),
        (b"\0\1\2", "expected a text in UTF-8"),
        (b"~no_such_user/a.png", "does not exist"),
    ],
)
def test_a_list_that_is_none_is_one_clear_line(content, words, tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(content.replace(b"LIST", str(path).encode()))
    with pytest.raises(InputError, match=words):
        list(find_units([str(path)], Job(everything=True)))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"models": 5, "options": {}},
        {"models": {"model": "x"}, "options": {}},
        {"models": {"model": {"name": 1}}, "options": {}},
        {"models": {}, "options": []},
    ],
    ids=str,
)
def test_a_manifest_that_lacks_its_parts_is_one_clear_line(content, tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT, **content}))
    with pytest.raises(JobError, match=r"manifest\.json is damaged"):
        Store(str(tmp_path)).open(Job(everything=True), {"model": {"name": "a", "sha256": "b"}}, {})


def test_what_a_library_raises_on_a_file_sets_this_file_aside(options, tmp_path, monkeypatch):
    def breaks(*_: object) -> None:
        raise IndexError("beyond the end")

    folder = write_folder(tmp_path / "images", 1)
    parsed = build_parser().parse_args(["label", str(folder), "--out", str(tmp_path / "out"), *options])
    labeller = IsolatedLabeller(job_of(parsed), parsed.out, 1)
    monkeypatch.setattr(labeller, "_submit", breaks)
    (unit,) = find_units([str(folder)], job_of(parsed))
    outcome = labeller.label(unit)
    assert outcome.error == "IndexError: beyond the end" and not outcome.fatal
