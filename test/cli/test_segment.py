# SPDX-License-Identifier: Apache-2.0
"""The command line as people type it."""

import json
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest
from pycocotools import mask as codec

from evitsam_ros.cli import main
from evitsam_ros.segment import Segmenter

from .conftest import ROOT


@pytest.fixture(scope="module")
def picture(tmp_path_factory, photograph):
    path = tmp_path_factory.mktemp("pictures") / "astronaut.png"
    cv2.imwrite(str(path), cv2.cvtColor(photograph, cv2.COLOR_RGB2BGR))
    return path


def test_segment_writes_overlay_and_rle(picture, bundle_folder, tmp_path, capsys):
    out, record = tmp_path / "masks.png", tmp_path / "masks.json"
    arguments = [
        "segment",
        str(picture),
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


def test_segment_everything(picture, bundle_folder, tmp_path):
    out = tmp_path / "all.png"
    code = main(
        [
            "segment",
            str(picture),
            "--everything",
            "--top-n",
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
        (["segment", "nowhere.jpg", "--everything"], "nowhere.jpg cannot be read"),
        (["segment", "PICTURE"], "give --point or --box, or else --everything"),
        (["segment", "PICTURE", "--everything", "--point", "1,2"], "or else --everything"),
        (["segment", "PICTURE", "--everything", "--model", "nope"], "no bundle 'nope'"),
        (["segment", "PICTURE", "--box", "9,9,1,1"], "is empty; expected x1 > x0"),
        (
            ["segment", "PICTURE", "--box", "900,9,999,99", "--model", "BUNDLE"],
            "outside the image of 512x512",
        ),
        (
            ["segment", "PICTURE", "--everything", "--model", "BUNDLE", "--backend", "tpu"],
            "backend 'tpu' is unknown",
        ),
        (["export", "lite_sam_x9", "--out", "x"], "model 'lite_sam_x9' is unknown"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_1(
    arguments, text, picture, bundle_folder, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    places = {"PICTURE": str(picture), "BUNDLE": str(bundle_folder)}
    assert main([places.get(argument, argument) for argument in arguments]) == 1
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error and len(error.strip().splitlines()) == 1


def test_wrong_numbers_are_refused_by_the_parser(picture, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["segment", str(picture), "--box", "1,2,3"])
    assert stop.value.code == 2
    assert "'1,2,3' is not X0,Y0,X1,Y1" in capsys.readouterr().err


def test_models_and_doctor_work_without_torch_and_ros():
    """As on a robot that only runs the node, and on a desk without ROS."""
    code = """
        import sys
        for name in ("torch", "rclpy", "onnx"):
            sys.modules[name] = None
        from evitsam_ros.cli import main
        assert main(["models", "--json"]) == 0
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    models = {row["name"]: row for row in json.loads(result.stdout)}
    assert models["efficientvit_sam_l0"]["input"] == 512 and models["lite_sam"]["proposals"]


def test_doctor_tells_what_is_there_and_how_to_add_the_rest(capsys):
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    found = {item["name"]: item for item in report["findings"]}
    assert found["ROS 2 (rclpy)"]["found"] and found["ONNX Runtime"]["found"]
    assert all(item["remedy"] for item in report["findings"])
    assert code == (0 if report["ready"] else 1)


def test_doctor_fails_without_bundles(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("evitsam_ros.doctor.installed_bundles", dict)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "MISSING bundles" in out and "evitsam export" in out


def test_bench_measures_every_installed_runtime(bundle_folder, tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert main(["bench", "--model", str(bundle_folder), "--repeats", "4", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert {row["runtime"] for row in rows} - {"openvino_bf16"} == {"onnxruntime", "openvino", "torch"}
    assert {row["case"] for row in rows} == {
        "encoder",
        "decoder, 1 prompt",
        "decoder, 16 prompts",
        "proposals",
        "foveal decoder, 16 prompts",
        "foveal decoder, 64 prompts",
    }
    assert all(np.isfinite(row["ms"]) and row["ms"] > 0 for row in rows)


def test_bench_everything_compares_ways_of_one_result(
    bundle_folder, tmp_path, photograph, capsys, monkeypatch
):
    """The slow way is slow but right: it keeps what ours keeps, but for a mask or two at a threshold."""
    from evitsam_ros.profiler import everything

    segmenter = Segmenter.open(ROOT / "engines" / "lite_sam")
    embedding = segmenter.embed(photograph)
    loose = segmenter.thresholds().but(score=0.2, stability=0.3)
    theirs = everything.segment_anythings_way(segmenter, embedding, 6, loose)
    ours = len(segmenter.everything(embedding, thresholds=loose, grid=6))
    assert theirs > 2 and abs(theirs - ours) <= max(2, 0.2 * ours)
    monkeypatch.setattr(everything, "segment_anythings_way", lambda *_: 0)
    picture, out = tmp_path / "p.png", tmp_path / "bench.json"
    cv2.imwrite(str(picture), photograph[:64, :64])
    arguments = ["--everything", str(picture), "--repeats", "1", "--json", str(out)]
    assert main(["bench", "--model", str(bundle_folder), *arguments]) == 0
    assert "grid 32x32, ours / AutoPPN, 256 prompts: " in capsys.readouterr().out
    rows = json.loads(out.read_text())["rows"]
    for name in ("AutoPPN, 64 prompts", everything.FLOOR):
        assert 0 < rows[name]["least"] == rows[name]["seconds"] == rows[name]["most"]


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
    assert [a["track_id"] for a in found["annotations"]] == [1, 1, 1]
    lefts = [a["bbox"][0] for a in found["annotations"]]
    assert lefts[0] < lefts[1] < lefts[2], "the box goes with the picture"
    assert main(["segment", str(frames / "0.png"), "--everything", "--track"]) == 1
    assert "--track is for a video or a folder" in capsys.readouterr().err


def test_a_video_comes_back_as_a_video(tmp_path, photograph):
    writer = cv2.VideoWriter(str(tmp_path / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (320, 240))
    for step in range(3):
        writer.write(np.ascontiguousarray(photograph[step : 240 + step, :320, ::-1]))
    writer.release()
    out = tmp_path / "out.avi"
    assert main(["segment", str(tmp_path / "in.avi"), "--everything", "--top-n", "8", "--out", str(out)]) == 0
    video = cv2.VideoCapture(str(out))
    assert [video.read()[0] for _ in range(4)] == [True, True, True, False]
