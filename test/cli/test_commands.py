# SPDX-License-Identifier: Apache-2.0
"""The smaller commands as people type them."""

import json
import os
import subprocess
import sys
import textwrap

import cv2
import pytest

from evitsam_ros.cli import main
from evitsam_ros.profiler.schema import read_report
from evitsam_ros.segment import Segmenter

from ..conftest import ROOT


def test_models_and_doctor_work_without_torch_and_ros():
    """As on a robot that only runs the node, and on a desk without ROS."""
    code = """
        import sys
        for name in ("torch", "rclpy", "onnx"):
            sys.modules[name] = None
        from evitsam_ros.cli import main
        assert main(["models", "--json", "-"]) == 0
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    models = {row["name"]: row for row in json.loads(result.stdout)}
    assert models["efficientvit_sam_l0"]["input"] == 512 and models["lite_sam"]["proposals"]
    assert (models["sam_vit_b"]["family"], models["sam_vit_b"]["licence"]) == ("sam", "Apache-2.0")
    assert "non-commercial" in models["edge_sam"]["licence"]
    assert models["efficientvit_sam_xl1"]["published"]["value"] == 47.8
    assert models["efficientvit_sam_xl1"]["fetch"] == "evitsam fetch efficientvit_sam_xl1"
    assert models["lite_sam_x2"]["published"] is None and models["lite_sam_x2"]["fetch"] is None


def test_doctor_lists_installed_requirements_and_install_commands(capsys):
    code = main(["doctor", "--json", "-"])
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
    assert main(["bench", "--model", str(bundle_folder), "--runs", "1", "--json", str(out)]) == 0
    report = read_report(out)
    keys = [figure.key.split("/") for figure in report.all_figures]
    assert {runtime for *_, runtime in keys} - {"openvino_bf16"} == {"onnxruntime", "openvino", "torch"}
    assert {case for _, case, _ in keys} == {
        "encoder",
        "decoder, 1 prompt",
        "decoder, 16 prompts",
        "proposals",
        "foveal decoder, 16 prompts",
        "foveal decoder, 64 prompts",
    }
    assert all(len(f.samples) == 1 and min(f.samples) > 0 for f in report.all_figures)
    assert report.ratio("networks/encoder/onnxruntime: speed").value > 0
    assert "command:\n  evitsam bench --model" in capsys.readouterr().out


def test_bench_everything_compares_ways_of_one_result(
    bundle_folder, tmp_path, photograph, capsys, monkeypatch
):
    """The slow way is slow but right: it keeps what ours keeps, but for a mask or two at a threshold."""
    from evitsam_ros.profiler import everything

    segmenter = Segmenter.open(ROOT / "engines" / "lite_sam")
    embedding = segmenter.embed(photograph)
    loose = segmenter.thresholds().replace(pred_iou_thresh=0.2, stability_score_thresh=0.3)
    theirs = everything.segment_anything_grid(segmenter, embedding, 6, loose)
    ours = len(segmenter.everything(embedding, thresholds=loose, points_per_side=6))
    assert theirs > 2 and abs(theirs - ours) <= max(2, 0.2 * ours)
    monkeypatch.setattr(everything, "segment_anything_grid", lambda *_: 0)
    image, out = tmp_path / "p.png", tmp_path / "bench.json"
    cv2.imwrite(str(image), photograph[:64, :64])
    arguments = ["--everything", "--images", str(image), "--runs", "1", "--json", str(out)]
    assert main(["bench", "--model", str(bundle_folder), *arguments]) == 0
    assert "grid 32x32, ours / AutoPPN, 256 prompts" in capsys.readouterr().out
    report = read_report(out)
    for name in ("AutoPPN, 64 prompts", everything.LOWER_BOUND):
        (taken,) = report.figure(f"everything/{name}").samples
        assert taken > 0


def test_json_is_written_to_stdout_and_text_to_stderr(photograph, bundle_folder, tmp_path, capsys):
    image = tmp_path / "p.png"
    cv2.imwrite(str(image), photograph[:64, :64])
    arguments = ["segment", str(image), "--point", "20,20", "--model", str(bundle_folder)]
    assert main([*arguments, "--json", "-"]) == 0
    printed = capsys.readouterr()
    assert [entry["id"] for entry in json.loads(printed.out)["masks"]] == [1]
    assert "1 masks" in printed.err


def test_a_list_is_written_to_a_file_and_printed(tmp_path, capsys):
    path = tmp_path / "models.json"
    assert main(["models", "--json", str(path)]) == 0
    assert {row["name"] for row in json.loads(path.read_text())} >= {"lite_sam"}
    assert "lite_sam" in capsys.readouterr().out


def completions(line: str) -> set[str]:
    """Ask the command for completions as bash does: by environment variables, answered on descriptor 8."""
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    command = f"exec {sys.executable} -m evitsam_ros.cli 8>&1 9>/dev/null"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, cwd=ROOT)
    return {word.strip() for word in done.stdout.splitlines()}


def test_the_shell_completes_commands_options_and_values():
    pytest.importorskip("argcomplete")
    assert completions("evitsam ver") == {"verify"}
    assert "--max-prompts" in completions("evitsam segment a.jpg --max")
    assert {"openvino", "openvino_bf16"} <= completions("evitsam verify --backend open")
    assert "lite_sam" in completions("evitsam profile --model lite")


def test_the_commands_work_without_argcomplete():
    code = """
        import os, sys
        os.environ["_ARGCOMPLETE"] = "1"
        sys.modules["argcomplete"] = None
        from evitsam_ros.cli import main
        sys.exit(main(["models"]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0 and "lite_sam" in done.stdout
