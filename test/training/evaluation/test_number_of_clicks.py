# SPDX-License-Identifier: Apache-2.0
"""Clicks and their count: a model whose answers are known, and the shipped one against a slow protocol."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from evitsam_ros.segment import Prompt, Segmenter
from training.annotations import read_folder
from training.evaluate import main
from training.evaluation.clicks import click_objects
from training.evaluation.mask_metrics import mask_iou
from training.evaluation.number_of_clicks import clicks_to_reach, score_clicks
from training.evaluation.prompted import score_prompts

from ..masks import encoded, rectangle


class Columns:
    """A model that finds a column of a rectangle with every click; of one on the right, five at most."""

    def __init__(self, truths: list[np.ndarray]) -> None:
        self.truths, self.prompts, self.masks = truths, [], []

    def embed(self, image):
        return None

    def decode(self, embedding, prompts):
        self.prompts += prompts
        self.masks = [self._answer(prompt) for prompt in prompts]
        return self

    def _answer(self, prompt: Prompt) -> np.ndarray:
        x, y = prompt.points[0].astype(int)
        truth = next(truth for truth in self.truths if truth[y, x])
        left = np.flatnonzero(truth.any(0))[0]
        columns = len(prompt.points) if x < 40 else min(len(prompt.points), 5)
        mask = truth.copy()
        mask[:, left + columns :] = False
        return mask

    def full(self) -> np.ndarray:
        return np.array(self.masks).reshape(len(self.masks), *self.truths[0].shape)


@pytest.fixture
def two_rectangles(shapes_data):
    """A record of two rectangles ten columns wide."""
    truths = [rectangle(10, 10, 20, 50), rectangle(50, 10, 60, 50)]
    record = read_folder(shapes_data, ["shapes_val"])[0]
    image = np.zeros((60, 80, 3), np.uint8)
    boxes = np.array([[10, 10, 20, 50], [50, 10, 60, 50]], np.float32)
    changed = replace(
        record,
        image=cv2.imencode(".png", image)[1].tobytes(),
        height=60,
        width=80,
        rles=[encoded(truth) for truth in truths],
        boxes=boxes,
        annotators=np.zeros(2, int),
    )
    return changed, truths


@pytest.mark.parametrize(
    ("ious", "wanted", "clicks"),
    [([0.5, 0.8, 0.7], 0.8, 2), ([0.9], 0.8, 1), ([0.1, 0.79], 0.8, None), ([], 0.8, None)],
)
def test_the_first_click_that_reaches_an_iou_counts(ious, wanted, clicks):
    assert clicks_to_reach(ious, wanted) == clicks


def test_an_object_that_never_gets_there_counts_twenty(two_rectangles):
    record, truths = two_rectangles
    report = score_clicks(Columns(truths), [record])
    assert report["objects"] == {"all": 2, "small": 2}
    assert report["NoC@80"]["all"] == (8 + 20) / 2 and report["NoC@85"]["all"] == (9 + 20) / 2
    assert report["failed@80"]["all"] == report["failed@85"]["all"] == 0.5
    assert report["NoC@80"]["small"] == report["NoC@80"]["all"] and "large" not in report["NoC@80"]
    alone = score_clicks(Columns(truths), [record, record], objects=1)
    assert alone["objects"]["all"] == 1 and alone["NoC@80"]["all"] == 8 and alone["failed@80"]["all"] == 0
    few = score_clicks(Columns(truths), [record], max_clicks=8)
    assert few["NoC@80"]["all"] == 8 and few["failed@80"]["all"] == 0.5 and few["failed@85"]["all"] == 1.0


def test_an_object_that_is_right_gets_no_further_click(two_rectangles):
    _, truths = two_rectangles
    model = Columns(truths)
    results = list(click_objects(model, None, truths, 20, target_iou=0.85))
    assert [a.clicks for a in results if a.index == 0] == list(range(1, 10))
    assert [a.iou for a in results if a.index == 0] == pytest.approx(np.arange(1, 10) / 10)
    assert [a.clicks for a in results if a.index == 1] == list(range(1, 21))
    assert all(
        len({tuple(p) for p in prompt.points.tolist()}) == len(prompt.points) for prompt in model.prompts
    )


def test_masks_without_a_pixel_are_no_objects(two_rectangles):
    record, truths = two_rectangles
    empty = encoded(np.zeros((60, 80), bool))
    more = replace(
        record,
        rles=[empty, *record.rles],
        boxes=np.concatenate([record.boxes[:1], record.boxes]),
        annotators=np.zeros(3, int),
    )
    assert score_clicks(Columns(truths), [more]) == score_clicks(Columns(truths), [record])
    for name in ("box filled", "inscribed ellipse"):
        assert score_prompts(None, [more], (), (name,)) == score_prompts(None, [record], (), (name,))


def slow_ious(segmenter: Segmenter, image: np.ndarray, truth: np.ndarray, clicks: int) -> list[float]:
    """RITM's protocol, one object at a time, by scipy's distances on whole images."""
    embedding, mask, fresh = segmenter.embed(image), np.zeros_like(truth), np.ones(truth.shape)
    points, labels, ious = [], [], []
    for _ in range(clicks):
        missed, excess = (
            ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1] * fresh
            for region in (truth & ~mask, mask & ~truth)
        )
        label = int(missed.max() > excess.max() + 1e-6)
        depth = missed if label else excess
        if depth.max() > 0:
            y, x = np.argwhere(depth > depth.max() - 1e-6)[0]
            fresh[y, x] = 0
            points.append((x, y))
            labels.append(label)
        mask = segmenter.decode(embedding, [Prompt(points=points, labels=labels)]).full()[0]
        ious.append(mask_iou(mask, truth))
    return ious


def test_counts_and_means_of_the_shipped_model_are_those_of_the_slow_protocol(shapes_data):
    segmenter = Segmenter.open("lite_sam", "onnxruntime")
    records, clicks = read_folder(shapes_data, ["shapes_val"])[:2], 6
    ious = np.array(
        [
            slow_ious(segmenter, record.read_image(), record.read_mask(index).astype(bool), clicks)
            for record in records
            for index in range(len(record.rles))
        ]
    )
    report = score_clicks(segmenter, records, max_clicks=clicks)
    for percent in (80, 85):
        right = ious >= percent / 100
        counts = np.where(right.any(1), right.argmax(1) + 1, clicks)
        assert report[f"NoC@{percent}"]["all"] == pytest.approx(counts.mean())
        assert report[f"failed@{percent}"]["all"] == pytest.approx((~right.any(1)).mean())
    assert 0 < report["failed@85"]["all"] < 1  # else the test says little
    table = score_prompts(segmenter, records, (1, 3, 5), ())
    for count in (1, 3, 5):
        name = f"{count} click" + "s" * (count > 1)
        assert table[name]["all"] == pytest.approx(ious[:, count - 1].mean(), abs=1e-3)


def test_the_command_prints_counts_and_writes_json(shapes_data, bundle_folder, tmp_path, capsys):
    arguments = ["clicks", "--model", str(bundle_folder), "--data", str(shapes_data), "--on", "shapes_val"]
    assert main([*arguments, "--objects", "4", "--json", str(tmp_path / "r.json")]) == 0
    table = json.loads((tmp_path / "r.json").read_text())["shapes_val"]
    assert table["objects"]["all"] == 4
    assert list(table) == ["NoC@80", "failed@80", "NoC@85", "failed@85", "objects"]
    shown = capsys.readouterr().out
    assert f"{table['NoC@85']['all']:.3f}" in shown and "failed@85" in shown
    with pytest.raises(SystemExit):
        main([*arguments, "--objects", "0"])
    assert "expected 1 or more" in capsys.readouterr().err
