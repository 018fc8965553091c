# SPDX-License-Identifier: Apache-2.0
"""Test the suite of SAM's family: its models and goals, and one model made tiny."""

from pathlib import Path

import pytest

from bench.family import BFLOAT16, FLOAT32, add_model, models, rounds_of
from bench.goals import verdicts
from bench.reference import Reference
from bench.workload import FULL, QUICK, photograph
from evitsam_ros.bundle import CHECKPOINT
from evitsam_ros.export import export_bundle
from evitsam_ros.models import SPECS, create_model
from evitsam_ros.profiler.measurements import MORE, Ratio, Suite
from evitsam_ros.segment import Prompt, Segmenter

from ..conftest import lively

HAS_BFLOAT16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text()
#: Input side, pixels.
SIDE = 128


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A bundle of MobileSAM for small images."""
    model = lively(create_model("mobile_sam", image_size=SIDE))
    return export_bundle(model, tmp_path_factory.mktemp("engines") / "mobile_sam", with_weights=True)


def test_every_official_promptable_model_is_measured_and_has_a_goal():
    names = [spec.name for spec in models(FULL)]
    assert names == [
        *(f"efficientvit_sam_{size}" for size in ("l0", "l1", "l2", "xl0", "xl1")),
        *("sam_vit_b", "sam_vit_l", "sam_vit_h", "mobile_sam", "tiny_sam", "repvit_sam", "edge_sam"),
    ]
    assert [spec.name for spec in models(QUICK)] == [n for n in names if n not in ("sam_vit_l", "sam_vit_h")]
    assert rounds_of(SPECS["sam_vit_h"], FULL) < rounds_of(SPECS["sam_vit_b"], FULL)
    ratios = [Ratio(f"family/{name}/box: speed", "", [2.2], MORE) for name in names]
    found = {v.goal.key.split("/")[1]: v.status for v in verdicts([], ratios) if v.value is not None}
    assert found == {name: "MISSED" if name == "mobile_sam" else "met" for name in names}


def test_a_model_is_compared_with_its_plain_form(tiny):
    suite = Suite()
    add_model(suite, "mobile_sam", tiny, 2)
    times = {figure.key.rpartition("/")[2]: figure for figure in suite.figures}
    ours = [FLOAT32, BFLOAT16] if HAS_BFLOAT16 else [FLOAT32]
    assert list(times) == [*ours, "reference"]
    assert all(len(figure.samples) == 2 and min(figure.samples) > 0 for figure in times.values())
    assert "eager" in times["reference"].details["runtimes"]
    assert f"encoder: {FLOAT32} " in times[FLOAT32].details["runtimes"]
    ratios = {ratio.key.removeprefix("family/mobile_sam/box"): ratio for ratio in suite.ratios}
    assert set(ratios) == {": speed", ", float32: speed"}
    pairs = zip(times["reference"].samples, times[FLOAT32].samples, strict=True)
    assert ratios[", float32: speed"].samples == pytest.approx([theirs / ours for theirs, ours in pairs])
    chosen = FLOAT32 if suite.notes or not HAS_BFLOAT16 else BFLOAT16
    pairs = zip(times["reference"].samples, times[chosen].samples, strict=True)
    assert ratios[": speed"].samples == pytest.approx([theirs / ours for theirs, ours in pairs])
    assert ratios[": speed"].title.endswith(chosen)


def test_the_compared_masks_are_equal(tiny):
    image, box = photograph((160, 120)), (40.0, 20.0, 120.0, 100.0)
    segmenter = Segmenter.open(tiny, "onnxruntime")
    ours = segmenter.decode(segmenter.embed(image), [Prompt(box=box)]).full()[0]
    theirs = Reference("mobile_sam", tiny / CHECKPOINT, SIDE).mask(image, box)
    assert theirs.shape == ours.shape == (120, 160) and 0.01 < ours.mean() < 0.99
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.97
