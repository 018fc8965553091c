# SPDX-License-Identifier: Apache-2.0
"""What everything mode shows, against IoUs of full-size masks."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from evitsam_ros.segment import Segmenter
from training.annotations import read_folder
from training.evaluate import main
from training.evaluation.mask_metrics import mask_iou
from training.evaluation.shown import best_ious, score_shown

from ..masks import encoded, rectangle


def test_the_best_human_mask_counts():
    truths = [encoded(rectangle(0, 0, 30, 20)), encoded(rectangle(0, 0, 20, 20))]
    masks = [encoded(rectangle(0, 0, 20, 20)), encoded(rectangle(40, 30, 70, 50))]
    assert best_ious(masks, truths).tolist() == [1.0, 0.0]
    assert best_ious(masks[:1], truths[:1]).tolist() == [pytest.approx(2 / 3)]
    assert best_ious([], truths).tolist() == [] and best_ious(masks, []).tolist() == [0.0, 0.0]


def test_share_of_shown_masks_that_a_person_drew(shapes_data):
    segmenter = Segmenter.open("lite_sam", "onnxruntime")
    records = read_folder(shapes_data, ["shapes_val"])[:3]
    # Two annotators who divide the masks: what either of them drew is right.
    records = [dataclasses.replace(r, annotators=np.arange(len(r.rles)) % 2) for r in records]
    shown, right = [], []
    for record in records:
        masks = segmenter.everything(record.read_image(), 64).full()
        truths = [record.read_mask(index).astype(bool) for index in range(len(record.rles))]
        shown.append(len(masks))
        right += [max(mask_iou(mask, truth) for truth in truths) >= 0.5 for mask in masks]
    score = score_shown(segmenter, records, 64)
    assert score == {"shown": pytest.approx(np.mean(shown)), "right": pytest.approx(np.mean(right))}
    assert 0 < score["right"] < 1


def test_no_masks_have_no_share(shapes_data):
    segmenter = Segmenter.open("lite_sam", "onnxruntime")
    strict = dataclasses.replace(segmenter.bundle, thresholds={"score": 2.0})
    records = read_folder(shapes_data, ["shapes_val"])[:1]
    assert score_shown(Segmenter(strict, segmenter.runtime), records, 16) == {"shown": 0.0}


def test_the_command_prints_it_on_exhaustive_sources_only(shapes_data, tmp_path, capsys):
    shutil.copytree(shapes_data, data := tmp_path / "data")
    path = data / "annotations" / "shapes_val.json"
    content = json.loads(path.read_text())
    arguments = ["everything", "--model", "lite_sam", "--data", str(data), "--limit", "1"]
    arguments += ["--max-prompts", "32"]
    arguments += ["--json", str(tmp_path / "report.json"), "--grids", "2"]
    for on in ("shapes_val", "*_val", "*_train"):
        assert main([*arguments, "--on", on]) == 2
        assert "needs images in which every object has a mask" in capsys.readouterr().err
    path.write_text(json.dumps({**content, "info": {"exhaustive": True}}))
    assert main([*arguments, "--on", "shapes_val"]) == 0
    table = json.loads((tmp_path / "report.json").read_text())["shapes_val"]
    header, row, grid = capsys.readouterr().out.splitlines()
    assert header.split()[-2:] == ["shown", "right"]
    assert row.split()[-2:] == [f"{table['AutoPPN 32']['shown']:.3f}", f"{table['AutoPPN 32']['right']:.3f}"]
    assert grid.split()[-2:] == ["-", "-"] and "shown" not in table["grid 2x2"]
