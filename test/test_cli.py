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
    assert {row["runtime"] for row in rows} == {"onnxruntime", "openvino", "torch"}
    assert {row["case"] for row in rows} == {
        "encoder",
        "decoder, 1 prompt",
        "decoder, 16 prompts",
        "proposals",
    }
    assert all(np.isfinite(row["ms"]) and row["ms"] > 0 for row in rows)
