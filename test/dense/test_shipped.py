# SPDX-License-Identifier: Apache-2.0
"""The shipped bundles of label maps and super-resolution open and do their job, by their default names."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from evitsam_ros.bundle import CHECKPOINT, DEFAULT_SEMANTIC, DEFAULT_UPSCALE
from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter, Upscaler, class_tables, open_semantic, open_upscale
from training.bicubic import double_size, half_size
from training.evaluation.image_quality import psnr_y

from .street import places, street

ENGINES = Path(__file__).parents[2] / "engines"


@pytest.mark.parametrize(
    ("name", "open_bundle"), [(DEFAULT_SEMANTIC, open_semantic), (DEFAULT_UPSCALE, open_upscale)]
)
def test_a_shipped_bundle_has_a_card_a_licence_and_figures(name, open_bundle):
    bundle = open_bundle(ENGINES / name)
    assert bundle.name == name and bundle.checkpoint == bundle.folder / CHECKPOINT
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert card.startswith(f"# {name}") and "{" not in card
    for heading in ("## Data", "## Recipe", "## Quality", "## Limits"):
        assert heading in card
    assert bundle.description["licence"].startswith("Apache-2.0") and bundle.description["weights"]["origin"]
    assert _numbers(bundle.description["quality"])


def _numbers(entry: object) -> list[float]:
    """Return all numbers of a nested mapping."""
    if isinstance(entry, dict):
        return [number for value in entry.values() for number in _numbers(value)]
    return [float(entry)] if isinstance(entry, int | float) else []


def test_the_shipped_label_map_of_a_street_has_its_classes(tmp_path):
    picture, labels, record = (tmp_path / name for name in ("street.png", "labels.png", "report.json"))
    cv2.imwrite(str(picture), street()[..., ::-1])
    command = ["segment", str(picture), "--semantic", "--labels", str(labels), "--json", str(record)]
    assert main([*command, "--out", str(tmp_path / "drawn.png")]) == 0
    values, report = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED), json.loads(record.read_text())
    assert report["model"] == DEFAULT_SEMANTIC
    assert tuple(report["labels"]) == class_tables.class_table("camvid").names
    for name, place in places().items():
        assert (values[place] == report["labels"][name]).mean() > 0.8, name


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "torch"])
def test_the_shipped_label_map_is_the_same_on_every_runtime(backend):
    found = SemanticSegmenter.open(ENGINES / DEFAULT_SEMANTIC, backend, 1, precision="fp32").segment(street())
    right = SemanticSegmenter.open(ENGINES / DEFAULT_SEMANTIC, "onnxruntime", 1).segment(street())
    assert (found.labels == right.labels).mean() > 0.995


def test_the_shipped_upscaler_is_better_than_bicubic():
    """Photographs that were made half as large: an animal's fur, and a cup."""
    upscaler = Upscaler.open(DEFAULT_UPSCALE, "onnxruntime", 1)
    gains = []
    for photograph in (data.chelsea()[:256, 60:380], data.coffee()[100:356, 100:420]):
        original = np.ascontiguousarray(photograph)
        small = half_size(original)
        found, bicubic = upscaler.upscale(small), double_size(small)
        gains.append(psnr_y(found, original, 2) - psnr_y(bicubic, original, 2))
    assert min(gains) > 0.2, gains
