# SPDX-License-Identifier: Apache-2.0
"""Test ``evitsam profile`` on the shipped bundle by its command line."""

import json
import shlex

import cv2
import numpy as np
import pytest

from evitsam_ros.bundle import DEFAULT_MODEL, open_bundle
from evitsam_ros.cli import build_parser, main
from evitsam_ros.cli.profile import repeating_command
from evitsam_ros.models.specs import model_spec
from evitsam_ros.profiler.inputs import open_images
from evitsam_ros.profiler.schema import read_report
from evitsam_ros.profiler.stages import STAGES, TOTAL, boxes
from evitsam_ros.profiler.table import render


def test_every_stage_was_timed_in_every_run(profiled):
    report = read_report(profiled.json)
    names = [stage.name for stage in report.stages]
    assert names == [*STAGES, TOTAL, "decoder, 1 box", "decoder, 3 boxes", "closer"]
    for stage in report.stages:
        assert len(stage.samples_ms) == 3 and min(stage.samples_ms) >= 0
    suites = np.sum([report.stage(name).samples_ms for name in STAGES], axis=0)
    np.testing.assert_allclose(suites, report.stage(TOTAL).samples_ms, rtol=1e-9)


def test_lower_bounds_are_work_at_the_peak_rates(profiled):
    report = read_report(profiled.json)
    product, copy = (np.percentile(peak_rate.samples, 90) * 1e9 for peak_rate in report.peak_rates)
    encoder = report.stage("encoder")
    assert encoder.macs == pytest.approx(model_spec(DEFAULT_MODEL).macs, rel=1e-3)
    assert encoder.lower_bound_ms == pytest.approx(encoder.macs / product * 1e3)
    # A closer look encodes and decodes once more.
    assert report.stage("closer").macs == pytest.approx(
        encoder.macs + report.stage("decoder, 1 box").macs, rel=1e-6
    )
    resize = report.stage("resize, normalise")
    assert resize.bytes == 320 * 240 * 3 + 3 * 640 * 640 * 4
    assert resize.lower_bound_ms == pytest.approx(resize.bytes / copy * 1e3)
    one, three = (report.stage(f"decoder, {n}").macs for n in ("1 box", "3 boxes"))
    assert one < three < 3 * one  # what depends on the image alone is shared


def test_the_report_is_reproducible(profiled):
    report = read_report(profiled.json)
    bundle = open_bundle(DEFAULT_MODEL)
    networks = bundle.description["networks"]
    assert set(report.model["networks"]) == {*networks, "network of colours"}
    for name, info in report.model["networks"].items():
        assert name not in networks or info["sha256"] == networks[name]["sha256"]
        assert info["precision"] == "fp32" and info["runtime"].startswith("onnxruntime ")
    assert report.settings["pictures"][0]["size"] == [320, 240]
    words = shlex.split(report.command)
    assert words[:2] == ["evitsam", "profile"]
    repeated = build_parser().parse_args(words[1:])
    for name in (
        "model",
        "semantic_model",
        "backend",
        "threads",
        "size",
        "prompts",
        "max_prompts",
        "images",
        "runs",
        "warmup",
        "batch",
    ):
        assert getattr(repeated, name) == getattr(build_parser().parse_args(profiled.words), name)


def test_too_few_runs_give_a_warning(profiled):
    text = render(read_report(profiled.json))
    assert "Warning: 3 runs are too few: expected 100" in text
    assert "encoder" in text and "GMAC/s" in text and "command:\n  evitsam profile --model" in text


def test_throughput_is_measured_for_each_batch(profiled):
    one, two = read_report(profiled.json).throughput
    assert (one.batch, two.batch) == (1, 2) and one.images_per_s > 0 and two.images_per_s > 0


def test_the_trace_has_the_format_of_perfetto(profiled):
    trace = json.loads(profiled.trace.read_text())
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert {event["ph"] for event in trace["traceEvents"]} == {"X", "M"}
    for event in complete:
        assert event["ts"] >= 0 and event["dur"] >= 0 and event["pid"] == 1 and event["tid"] == 1
    frames = [event for event in complete if event["name"] == TOTAL]
    assert [event["args"]["run"] for event in frames] == [0, 1, 2]
    # Microseconds: the frames of the trace are those of the report.
    report = read_report(profiled.json)
    np.testing.assert_allclose([f["dur"] / 1e3 for f in frames], report.stage(TOTAL).samples_ms, rtol=1e-6)
    encoder = next(event for event in complete if event["name"] == "encoder")
    assert frames[0]["ts"] <= encoder["ts"]
    assert encoder["ts"] + encoder["dur"] <= frames[0]["ts"] + frames[0]["dur"] + 1e-3


def test_compare_through_the_command_line(profiled, tmp_path, capsys):
    page = tmp_path / "compared.html"
    assert main(["profile", "--compare", str(profiled.json), str(profiled.json), "--html", str(page)]) == 0
    assert "Fewer than 20 runs: too few to compare." in capsys.readouterr().out
    assert "B against A" in page.read_text()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--images", "nowhere.jpg"], "nowhere.jpg"),
        (["--backend", "onnxruntime", "--precision", "bf16"], "encoder would run in fp32 (onnxruntime"),
        (["--model", "lite_sam", "--precision", "int8"], "int8 a GPU, or a bundle with an int8 form"),
        (["--model", "nope"], "no bundle 'nope'"),
        (["--compare", "a.json", "b.json"], "a.json cannot be read"),
        (["--compare", "a.json", "b.json", "--trace", "c"], "--compare only reads files"),
    ],
)
def test_invalid_values_are_one_line_of_error(words, text, capsys):
    assert main(["profile", *words]) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--size", "640"],
        ["--size", "4x4"],
        ["--prompts", "1,1"],
        ["--prompts", "4..1"],
        ["--batch", "65"],
        ["--runs", "0"],
        ["--max-prompts", "2000"],
    ],
)
def test_values_out_of_range_are_rejected(words, capsys):
    with pytest.raises(SystemExit):
        main(["profile", *words])
    assert words[1] in capsys.readouterr().err


def test_defaults_are_written_out():
    words = shlex.split(repeating_command(build_parser().parse_args(["profile"])))
    assert words[words.index("--prompts") + 1] == "1,16,64,256" and "--size" not in words


def test_images_keep_their_bytes_and_are_unique(tmp_path, photograph):
    file = tmp_path / "photo.jpg"
    cv2.imwrite(str(file), photograph, [cv2.IMWRITE_JPEG_QUALITY, 50])
    cv2.imwrite(str(tmp_path / "other.png"), photograph)
    (image,) = open_images([str(file), str(file)], None)
    assert image.jpeg == file.read_bytes() and image.size == (512, 512)
    assert image.decode().size == (512, 512)
    (smaller,) = open_images([str(file)], (64, 48))
    assert smaller.decode().size == (48, 64)
    assert len(open_images([str(tmp_path)], None)) == 2


def test_boxes_are_inside_the_image_and_deterministic():
    made = np.stack([prompt.box for prompt in boxes(50, (640, 480))])
    assert (made >= 0).all() and (made[:, 2] <= 640).all() and (made[:, 3] <= 480).all()
    np.testing.assert_array_equal(made, np.stack([prompt.box for prompt in boxes(50, (640, 480))]))
