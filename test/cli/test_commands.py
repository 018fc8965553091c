# SPDX-License-Identifier: Apache-2.0
"""The smaller commands as people type them."""

import json
import subprocess
import sys
import textwrap

import cv2
import numpy as np

from evitsam_ros.cli import main
from evitsam_ros.segment import Segmenter

from ..conftest import ROOT


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
    assert (models["sam_vit_b"]["family"], models["sam_vit_b"]["licence"]) == ("sam", "Apache-2.0")
    assert "non-commercial" in models["edge_sam"]["licence"]


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
