# SPDX-License-Identifier: Apache-2.0
"""``evitsam quantize`` on a tiny model: torch-free, all or nothing, its figures those of the evaluation."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from evitsam_ros.bundle import open_bundle
from evitsam_ros.bundle_forms import find_form, forms_of
from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter, open_semantic
from evitsam_ros.export import export_bundle
from evitsam_ros.models import create_model
from training.evaluation.label_maps import score_semantic
from training.label_maps import read_label_maps
from training.quantization.held_out import exceeded_limits, limit

from ...conftest import ROOT, lively
from ...dense.conftest import exported

pytestmark = pytest.mark.skipif(find_spec("nncf") is None, reason="NNCF is not installed")

#: In a process of its own, without torch: OpenVINO beside a torch that has trained is not safe.
RUN = """
import sys
sys.modules["torch"] = None
from training.quantization import held_out
held_out.STRICT = held_out.USUAL = {limit}
from evitsam_ros.cli import main
sys.exit(main(["quantize", *{words!r}]))
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    model = lively(create_model("lite_sam", image_size=64))
    return export_bundle(model, tmp_path_factory.mktemp("engines") / "tiny", with_weights=True)


def run(limit: float, *words: object) -> subprocess.CompletedProcess:
    code = RUN.format(limit=limit, words=[str(word) for word in words])
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT)


def words(tiny: Path, data: Path, *more: object) -> tuple:
    given = ("--model", tiny, "--data", data, "--calibration-images", 2, "--held-out", "shapes_val")
    return (*given, "--everything-on", "", "--limit", 2, "--clicks", 1, "--threads", 1, *more)


@pytest.fixture(scope="module")
def quantized(tiny, shapes_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "tiny"
    done = run(2.0, *words(tiny, shapes_data, "--out", out))
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    return out


def test_the_bundle_has_a_second_form_and_the_first_is_as_before(tiny, quantized):
    before, after = open_bundle(tiny), open_bundle(quantized)
    form = find_form(after, "encoder", "int8")
    assert form is not None and form.file.is_file() and not forms_of(after, "decoder")
    for name, path in before.networks.items():
        assert after.networks[name].read_bytes() == path.read_bytes()
    assert {k: v for k, v in after.description.items() if k != "networks"} == {
        k: v for k, v in before.description.items() if k != "networks"
    }
    entry = after.description["networks"]["encoder"]["forms"][0]
    assert entry["made"]["training"] == "*_train" and entry["made"]["images"] == 2
    # The hash of the network's file changes with its weights.
    assert entry["weights"]["sha256"] in form.file.read_text()


def test_the_figures_stand_side_by_side(quantized):
    held_out = find_form(open_bundle(quantized), "encoder", "int8").held_out
    assert held_out["data"] == "shapes_val" and held_out["images"] == 2
    assert list(held_out["figures"]) == ["box", "box_boundary", "1_click", "1_click_boundary"]
    for both in held_out["figures"].values():
        assert set(both) == {"fp32", "int8"} and all(0 <= value <= 1 for value in both.values())


def test_int8_gives_nearly_the_embedding_of_float32(quantized):
    code = f"""
import numpy as np
from evitsam_ros.backends.openvino_backend import import_openvino
from evitsam_ros.bundle import open_bundle
from evitsam_ros.bundle_forms import find_form
bundle = open_bundle({str(quantized)!r})
core, form = import_openvino().Core(), find_form(bundle, "encoder", "int8")
image = np.random.default_rng(0).uniform(-1, 1, (3, 3, 64, 64)).astype(np.float32)
config = {{"INFERENCE_PRECISION_HINT": "f32"}}
files = (bundle.networks["encoder"], form.file)
outputs = [core.compile_model(str(path), "CPU", config)(image)[0] for path in files]
error = np.linalg.norm(outputs[0] - outputs[1]) / np.linalg.norm(outputs[0])
kinds = [node.get_type_name() for node in core.read_model(str(form.file)).get_ops()]
print(error, kinds.count("FakeQuantize"), outputs[1].shape[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    error, quantizers, images = (float(word) for word in done.stdout.split())
    assert 0 < error < 0.25 and quantizers > 10 and images == 3


def test_a_form_beyond_its_limits_is_not_written(tiny, shapes_data, tmp_path):
    out = tmp_path / "out"
    done = run(-2.0, *words(tiny, shapes_data, "--out", out))
    assert done.returncode == 1 and not any(tmp_path.iterdir())
    assert "int8 loses more than its limit: box 0." in done.stderr and "Nothing was written" in done.stderr


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--train-on", "shapes_val"), "shapes_val is not of the training split"),
        (("--held-out", "shapes_train"), "shapes_train is of the training split"),
        (("--train-on", "none_train"), "no annotation file matches"),
        (("--model", "nowhere"), "no bundle 'nowhere'"),
    ],
)
def test_bad_input_is_one_clear_error(tiny, shapes_data, tmp_path, capsys, more, text):
    given = words(tiny, shapes_data, "--out", tmp_path / "out", *more)
    assert main(["quantize", *map(str, given)]) == 1 and not any(tmp_path.iterdir())
    error = capsys.readouterr().err
    assert text in error and "Traceback" not in error


def test_limits_are_by_figure():
    before = {"box": 0.7, "box_boundary": 0.6, "1_click": 0.4, "everything_ar": 0.3}
    assert {name: limit(name) for name in before} == {
        "box": 0.003,
        "box_boundary": 0.005,
        "1_click": 0.005,
        "everything_ar": 0.003,
    }
    assert not exceeded_limits(before, {name: value - 0.0029 for name, value in before.items()})
    assert not exceeded_limits(before, {name: value + 0.1 for name, value in before.items()})
    (first, second) = exceeded_limits(before, {name: value - 0.004 for name, value in before.items()})
    assert first.startswith("box 0.7000 -> 0.6960") and second.startswith("everything_ar")
    assert len(exceeded_limits(before, {name: value - 0.006 for name, value in before.items()})) == 4
    assert np.isclose(limit("5_clicks_boundary"), 0.005)


@pytest.fixture(scope="module")
def street_data(tmp_path_factory) -> Path:
    """Images of CamVid's layout: sky above a road, whose border moves."""
    root, rng = tmp_path_factory.mktemp("camvid"), np.random.default_rng(5)
    for split in ("train", "val"):
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir()
        for number in range(4):
            labels = np.zeros((48, 64), np.uint8)
            labels[int(rng.integers(16, 32)) :] = 3
            image = np.where(labels[..., None] == 3, 60, 200) + rng.integers(-20, 20, (48, 64, 3))
            cv2.imwrite(str(root / split / f"{number}.png"), image.astype(np.uint8))
            cv2.imwrite(str(root / f"{split}annot" / f"{number}.png"), labels)
    return root


@pytest.fixture(scope="module")
def semantic(tmp_path_factory) -> Path:
    return exported(tmp_path_factory.mktemp("engines"), "efficientvit_seg_b0_camvid", (64, 96))


def test_a_semantic_bundle_gets_an_int8_form_with_its_mean_iou(semantic, street_data, tmp_path):
    out = tmp_path / "quantized"
    given = ("--model", semantic, "--data", street_data, "--kind", "camvid", "--threads", 1)
    done = run(2.0, *given, "--out", out)
    assert done.returncode == 0, done.stderr
    bundle = open_semantic(out)
    form = find_form(bundle, "network", "int8")
    assert form.held_out["data"] == "camvid val" and form.held_out["images"] == 4
    figures = form.held_out["figures"]
    for backend, precision in (("openvino", "fp32"), ("openvino_int8", "int8")):
        segmenter = SemanticSegmenter.open(out, backend, 1)
        mean = score_semantic(segmenter, read_label_maps("camvid", street_data, "val"))["mean"]
        assert figures["mean_iou"][precision] == pytest.approx(mean["IoU"], abs=1e-4)
    assert SemanticSegmenter.open(out, threads=1, precision="int8").runtime.backends == {"openvino_int8"}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ((), "--kind is None; expected camvid"),
        (("--kind", "camvid", "--held-out", "train"), "expected two splits"),
        (("--kind", "camvid", "--accuracy-aware"), "is for promptable models"),
    ],
)
def test_what_does_not_fit_a_semantic_bundle_is_named(semantic, street_data, capsys, more, text):
    assert main(["quantize", "--model", str(semantic), "--data", str(street_data), *more]) == 1
    assert text in capsys.readouterr().err
