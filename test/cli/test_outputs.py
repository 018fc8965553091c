# SPDX-License-Identifier: Apache-2.0
"""What cannot be written is said before a network runs, and no input is ever written over."""

import cv2
import numpy as np
import pytest

from evitsam_ros.cli import main


@pytest.fixture
def inputs(tmp_path, photograph, monkeypatch):
    """An image, a folder of frames and a video in the current folder; opening a bundle fails."""
    monkeypatch.chdir(tmp_path)
    image = np.ascontiguousarray(photograph[:64, :64, ::-1])
    (tmp_path / "frames").mkdir()
    (tmp_path / "folder").mkdir()
    for name in ("a.jpg", "frames/1.png", "frames/2.png"):
        cv2.imwrite(name, image)
    writer = cv2.VideoWriter("v.avi", cv2.VideoWriter_fourcc(*"MJPG"), 30, (64, 64))
    writer.write(image)
    writer.release()

    def never(*_: object) -> None:
        raise AssertionError("a network was opened")

    monkeypatch.setattr("evitsam_ros.segment.Segmenter.open", never)
    return tmp_path


WRONG = [
    ("a.jpg", ["--out", "result"], "result has no ending; expected one that OpenCV writes"),
    ("a.jpg", ["--out", "out.xyz"], "out.xyz has the ending '.xyz'"),
    ("a.jpg", ["--out", "folder"], "folder is a folder; expected a file"),
    ("a.jpg", ["--out", "a.jpg"], "--out a.jpg is the input"),
    ("a.jpg", ["--out", "./folder/../a.jpg"], "is the input"),
    ("a.jpg", ["--json", "a.jpg"], "--json a.jpg is the input"),
    ("a.jpg", ["--out", "o.png", "--json", "o.png"], "--json and --out are both o.png"),
    ("a.jpg", ["--json", "folder"], "folder is a folder; expected a file"),
    ("a.jpg", ["--json", "nowhere/x.json"], "nowhere/x.json cannot be written: there is no folder nowhere"),
    ("a.jpg", ["--out", "nowhere/x.png"], "there is no folder nowhere"),
    ("a.jpg", ["--out", "/proc/x.png"], "/proc/x.png cannot be written"),
    ("frames", ["--out", "frames"], "--out frames is the input"),
    ("frames", ["--out", "a.jpg"], "a.jpg is neither a video (.avi, .mp4, .mkv, .mov) nor a folder"),
    ("frames", ["--out", "o.webm"], "o.webm is neither a video"),
    ("frames", ["--out", "/proc/x/o.avi"], "there is no folder /proc/x"),
    ("frames", ["--out", "/proc/x"], "/proc/x cannot be written"),
    ("frames", ["--json", "nowhere/x.json"], "there is no folder nowhere"),
    ("frames", ["--out", "caf\udce9.avi"], "has a name that is not UTF-8"),
    ("v.avi", ["--out", "v.avi"], "--out v.avi is the input"),
    ("v.avi", ["--json", "v.avi"], "--json v.avi is the input"),
]


FROM = ["--model", "lite_sam", "--images"]
#: Outputs that take the place of what is read by a name that is no path to the parser.
READ = [
    (
        ["segment", "frames", "--everything", "--out", "o.avi", "--json", "frames/2.png"],
        "a file of the input",
    ),
    (["label", "a.jpg", "--everything", "--out", "labels", "--json", "a.jpg"], "--json a.jpg is the input"),
    (["label", "frames", "--everything", "--out", "labels", "--json", "frames/1.png"], "a file of the input"),
    (["bench", "--everything", *FROM, "a.jpg", "--json", "a.jpg"], "--json a.jpg is the input"),
    (["profile", *FROM, "frames", "--html", "frames/1.png"], "--html frames/1.png is a file of the input"),
    (["verify", *FROM, "a.jpg", "v.avi", "--json", "v.avi"], "--json v.avi is the input"),
]


@pytest.mark.parametrize(("words", "text"), READ)
def test_no_output_takes_the_place_of_an_image_that_is_read(inputs, capsys, words, text):
    before = {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()}
    assert main(words) == 1
    assert text in capsys.readouterr().err
    assert {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("source", "options", "words"), WRONG)
def test_it_is_one_line_before_a_network_runs(inputs, capsys, source, options, words):
    before = {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()}
    assert main(["segment", source, "--everything", *options]) == 1
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) == 1
    assert {path: path.read_bytes() for path in inputs.rglob("*") if path.is_file()} == before


def test_a_link_to_the_input_is_the_input(inputs, capsys):
    (inputs / "link.avi").symlink_to("v.avi")
    assert main(["segment", "v.avi", "--everything", "--out", "link.avi"]) == 1
    assert "--out link.avi is the input" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html", "--trace"])
def test_reports_of_other_commands_are_checked_as_well(inputs, capsys, option):
    assert main(["profile", option, "nowhere/report"]) == 1
    assert "nowhere/report cannot be written: there is no folder nowhere" in capsys.readouterr().err
    assert main(["profile", option, "folder"]) == 1
    assert "folder is a folder" in capsys.readouterr().err


def test_a_bag_is_not_its_own_copy(inputs, capsys):
    (inputs / "drive.mcap").touch()
    assert main(["bag", "drive.mcap", "--everything", "--out", "drive.mcap"]) == 1
    assert "is the input" in capsys.readouterr().err
    assert main(["bag", "drive.mcap", "--everything", "--out", "/proc/o.mcap"]) == 1
    assert "/proc/o.mcap cannot be written" in capsys.readouterr().err
