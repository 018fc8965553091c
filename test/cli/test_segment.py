# SPDX-License-Identifier: Apache-2.0
"""``evitsam segment`` as people type it: images, videos, folders."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec

from evitsam_ros.cli import main
from evitsam_ros.io.video_files import Video


@pytest.fixture(scope="module")
def image_file(tmp_path_factory, photograph):
    path = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    cv2.imwrite(str(path), cv2.cvtColor(photograph, cv2.COLOR_RGB2BGR))
    return path


def test_segment_writes_overlay_and_rle(image_file, bundle_folder, tmp_path, capsys):
    out, record = tmp_path / "masks.png", tmp_path / "masks.json"
    arguments = [
        "segment",
        str(image_file),
        "--box",
        "100,50,300,400",
        "--point",
        "200,200",
        "--point",
        "20,20,0",
    ]
    code = main([*arguments, "--model", str(bundle_folder), "--out", str(out), "--json", str(record)])
    assert code == 0
    assert cv2.imread(str(out)).shape == (512, 512, 3)
    content = json.loads(record.read_text())
    assert [entry["id"] for entry in content["masks"]] == [1, 2]
    assert codec.decode(content["masks"][0]["segmentation"]).shape == (512, 512)
    assert "encoder:" in capsys.readouterr().out


def test_closer_looks_are_a_stage_of_the_answer(image_file, tmp_path, capsys):
    words = ["segment", str(image_file), "--model", "lite_sam", "--out", str(tmp_path / "masks.png")]
    assert main([*words, "--box", "180,60,270,180", "--closer-looks", "1"]) == 0
    assert ", closer " in capsys.readouterr().out
    assert main([*words, "--everything", "--closer-looks", "1"]) == 1
    assert "--closer-looks is for --point and --box" in capsys.readouterr().err


def test_segment_everything(image_file, bundle_folder, tmp_path):
    out = tmp_path / "all.png"
    code = main(
        [
            "segment",
            str(image_file),
            "--everything",
            "--max-prompts",
            "4",
            "--model",
            str(bundle_folder),
            "--out",
            str(out),
        ]
    )
    assert code == 0 and out.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["segment", "nowhere.jpg", "--everything"], "nowhere.jpg cannot be read: No such file"),
        (["segment", "nowhere", "--everything", "--track"], "--track is for a video or a folder"),
        (["segment", "PICTURE"], "give --point or --box, or else --everything"),
        (["segment", "PICTURE", "--everything", "--point", "1,2"], "or else --everything"),
        (["segment", "PICTURE", "--everything", "--model", "nope"], "no bundle 'nope'"),
        (["segment", "PICTURE", "--box", "9,9,1,1"], "is empty; expected x1 > x0"),
        (
            ["segment", "PICTURE", "--box", "900,9,999,99", "--model", "BUNDLE"],
            "outside the image of 512x512",
        ),
        (
            ["segment", "PICTURE", "--point", "-5,9", "--model", "BUNDLE"],
            "point (-5, 9) is outside the image",
        ),
        (["segment", "PICTURE", "--point", "nan,9"], "points hold NaN"),
        (["segment", "PICTURE", "--point", "9,9,0.7"], "expected 1 (foreground) or 0 (background)"),
        (["segment", "PICTURE", "--point", "9,9,0"], "all points are background"),
        (["segment", "drive.mcap", "--everything"], "is a bag; 'evitsam bag' segments it"),
        (["export", "--model", "lite_sam_x9", "--out", "x"], "model 'lite_sam_x9' is unknown"),
        (["export", "--out", "x"], "--model is missing"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_1(
    arguments, text, image_file, bundle_folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"PICTURE": str(image_file), "BUNDLE": str(bundle_folder)}
    assert main([places.get(argument, argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error and len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--box", "1,2,3"], "'1,2,3' is not X0,Y0,X1,Y1"),
        (["--everything", "--max-prompts", "0"], "'0': expected a number from 1 to 1024"),
        (["--everything", "--backend", "tpu"], "invalid choice: 'tpu' (choose from"),
    ],
)
def test_wrong_values_are_rejected_by_the_parser(image_file, capsys, words, text):
    with pytest.raises(SystemExit) as stop:
        main(["segment", str(image_file), *words])
    assert stop.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("form", [["--box", "-20,-9.5,300,400"], ["--box=-20,-9.5,300,400"]])
def test_a_box_may_begin_outside_of_the_image(form, image_file, bundle_folder, tmp_path):
    """Detectors' boxes do. argparse would take the first form for an option."""
    record, cut = tmp_path / "cut.json", tmp_path / "inside.json"
    common = ["segment", str(image_file), "--model", str(bundle_folder), "--out", str(tmp_path / "o.png")]
    assert main([*common, *form, "--json", str(record)]) == 0
    assert main([*common, "--box", "0,0,300,400", "--json", str(cut)]) == 0
    assert json.loads(record.read_text())["masks"] == json.loads(cut.read_text())["masks"]


def test_an_empty_name_is_not_the_current_folder(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["segment", "", "--everything"])
    assert stop.value.code == 2 and "expected a path" in capsys.readouterr().err


def test_a_name_that_is_not_utf_8(image_file, bundle_folder, tmp_path, capsys):
    path = tmp_path / "caf\udce9.png"
    path.write_bytes(image_file.read_bytes())
    arguments = ["segment", str(path), "--box", "100,50,300,400", "--model", str(bundle_folder)]
    assert main(arguments) == 0
    assert "caf\\udce9_masks.png" in capsys.readouterr().out
    assert (tmp_path / "caf\udce9_masks.png").stat().st_size > 1000
    assert main([*arguments, "--json", str(tmp_path / "m.json")]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["image"] == path.name


def test_a_folder_of_frames_is_tracked_into_frames_and_coco_json(tmp_path, photograph, capsys):
    frames, out, report = tmp_path / "frames", tmp_path / "drawn", tmp_path / "masks.json"
    frames.mkdir()
    for step in range(3):
        cv2.imwrite(str(frames / f"{step}.png"), np.roll(photograph, 6 * step, axis=1)[..., ::-1])
    arguments = ["segment", str(frames), "--box", "95,0,330,505", "--track", "--out", str(out)]
    assert main([*arguments, "--json", str(report)]) == 0
    assert "3 frames, 3 masks, 1 ids" in capsys.readouterr().out
    assert len(list(out.glob("*.png"))) == 3
    found = json.loads(report.read_text())
    assert [image["file_name"] for image in found["images"]] == ["0.png", "1.png", "2.png"]
    assert [a["track_id"] for a in found["annotations"]] == [1, 1, 1]
    lefts = [a["bbox"][0] for a in found["annotations"]]
    assert lefts[0] < lefts[1] < lefts[2], "the box goes with the picture"
    assert main(["segment", str(frames / "0.png"), "--everything", "--track"]) == 1
    assert "--track is for a video or a folder" in capsys.readouterr().err


def test_a_video_is_written_as_a_video(tmp_path, photograph):
    film(tmp_path / "in.avi", photograph, 29.97)
    out = tmp_path / "out.avi"
    assert (
        main(["segment", str(tmp_path / "in.avi"), "--everything", "--max-prompts", "8", "--out", str(out)])
        == 0
    )
    video = Video(out)
    assert video.rate == pytest.approx(29.97) and len(list(video.frames())) == 3


def film(path, photograph, rate: float = 30.0) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (320, 240))
    for step in range(3):
        writer.write(np.ascontiguousarray(photograph[step : 240 + step, :320, ::-1]))
    writer.release()


@pytest.mark.parametrize("track", [["--track"], []])
def test_a_prompt_outside_the_first_frame_is_an_error(tmp_path, photograph, bundle_folder, capsys, track):
    film(tmp_path / "in.avi", photograph)
    out = tmp_path / "out.avi"
    arguments = ["segment", str(tmp_path / "in.avi"), "--point", "400,100", "--model", str(bundle_folder)]
    assert main([*arguments, *track, "--out", str(out)]) == 1
    assert "prompt 0: point (400, 100) is outside the image of 320x240" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.avi"]


def test_frames_may_change_their_size_and_one_may_be_damaged(tmp_path, photograph, bundle_folder, capsys):
    frames, out, report = tmp_path / "frames", tmp_path / "out.avi", tmp_path / "masks.json"
    frames.mkdir()
    for name, side in (("1.png", 96), ("2.png", 48), ("10.png", 96)):
        cv2.imwrite(str(frames / name), np.ascontiguousarray(photograph[:side, :side, ::-1]))
    (frames / "3.png").write_bytes((frames / "2.png").read_bytes()[:-20])
    arguments = ["segment", str(frames), "--point", "60,60", "--model", str(bundle_folder)]
    assert main([*arguments, "--out", str(out), "--json", str(report)]) == 0
    captured = capsys.readouterr()
    assert "3 frames" in captured.out
    assert "without masks: frame 2.png: prompt 0: point (60, 60) is outside" in captured.err
    assert "left out:" in captured.err and "3.png is cut off" in captured.err
    found = json.loads(report.read_text())
    assert [(image["file_name"], image["width"]) for image in found["images"]] == [
        ("1.png", 96),
        ("2.png", 48),
        ("10.png", 96),
    ]
    assert {annotation["image_id"] for annotation in found["annotations"]} == {0, 2}
    assert [frame.shape for frame in Video(out).frames()] == [(96, 96, 3)] * 3


def test_the_default_output_stands_beside_the_input(tmp_path, photograph, bundle_folder, monkeypatch):
    folder = tmp_path / "run.v2"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.ascontiguousarray(photograph[:64, :64, ::-1]))
    monkeypatch.chdir(folder)
    assert main(["segment", ".", "--everything", "--max-prompts", "4", "--model", str(bundle_folder)]) == 0
    assert (tmp_path / "run.v2_masks.avi").is_file()
