# SPDX-License-Identifier: Apache-2.0
"""The evaluator against hand-made cases with known answers."""

import json
import shutil

import cv2
import numpy as np
import pytest
from scipy import ndimage

from evitsam_ros.cli.deprecated import rename_options
from evitsam_ros.segment import Segmenter
from training.annotations import read_folder
from training.evaluate import RENAMED, main, parser
from training.evaluation.baselines import filled_box, grabcut, inscribed_ellipse
from training.evaluation.cost import network_costs
from training.evaluation.edges import (
    boundaries,
    edge_counts,
    label_boundaries,
    match_pixels,
    score_counts,
    score_edges,
    suppress,
)
from training.evaluation.examples import Examples
from training.evaluation.mask_metrics import mask_iou, size_group
from training.evaluation.prompted import score_prompts
from training.evaluation.recall import (
    average_recall,
    check_exhaustive,
    everything_recall,
    most_complete_annotator,
)
from training.evaluation.report import as_json, print_table

from .masks import encoded, rectangle


def test_baselines_have_the_areas_of_their_shapes():
    image, box = np.zeros((200, 300, 3), np.uint8), np.array([50, 40, 250, 160], np.float32)
    assert filled_box(image, box).sum() == 200 * 120
    assert inscribed_ellipse(image, box).sum() == pytest.approx(np.pi * 100 * 60, rel=0.01)
    mask = rectangle(100, 80, 200, 120, (200, 300))
    image[mask] = (250, 60, 60)
    assert mask_iou(grabcut(image, box), mask) > 0.95


def test_boxes_score_baselines_and_model_through_the_same_code(shapes_data, bundle_folder, tmp_path):
    records = read_folder(shapes_data, ["shapes_val"])[:2]
    cases, baselines = Examples(), ("box filled", "inscribed ellipse")
    report = score_prompts(Segmenter.open(bundle_folder), records, (1,), baselines, cases)
    assert set(report) == {"box filled", "inscribed ellipse", "GT box", "GT box, best of 3", "1 click"}
    # Drawn ellipses and rectangles: one baseline or the other is nearly right for each.
    assert report["inscribed ellipse"]["all"] > 0.6
    for index, record in enumerate(records):
        expected = [
            mask_iou(filled_box(record.read_image(), box), record.read_mask(i).astype(bool))
            for i, box in enumerate(record.boxes)
        ]
        alone = score_prompts(None, [records[index]], (), ("box filled",))
        assert alone["box filled"]["all"] == pytest.approx(np.mean(expected))
    assert report["GT box, best of 3"]["all"] >= report["GT box"]["all"]
    sizes = [f"{prefix}{group}" for prefix in ("", "BIoU ") for group in ("all", "small", "medium", "large")]
    assert all(list(row) == [size for size in sizes if size in row] for row in report.values())
    cases.write(tmp_path / "cases.jpg")
    assert cv2.imread(str(tmp_path / "cases.jpg")).shape[0] == 3 * 220


def test_boundary_iou_stands_beside_iou_by_size(shapes_data):
    records = read_folder(shapes_data, ["shapes_val"])
    expected = {"all": [], "small": [], "medium": []}
    for record in records:
        for index, box in enumerate(record.boxes):
            truth = record.read_mask(index).astype(bool)
            drawn = inscribed_ellipse(record.read_image(), box)
            # 160 x 120 pixels: the boundary is four wide.
            boundary, other = (
                mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=4) for mask in (truth, drawn)
            )
            iou = (boundary & other).sum() / (boundary | other).sum()
            for group in ("all", size_group(truth.sum())):
                expected[group].append(iou)
    row = score_prompts(None, records, (), ("inscribed ellipse",))["inscribed ellipse"]
    for group, ious in expected.items():
        assert row[f"BIoU {group}"] == pytest.approx(np.mean(ious))
    assert row["BIoU all"] != row["all"]


def test_average_recall_counts_the_thresholds_that_a_mask_passes():
    truth = [encoded(rectangle(0, 0, 30, 20)), encoded(rectangle(40, 30, 70, 50))]
    two_thirds = encoded(rectangle(0, 0, 20, 20))  # IoU 2/3: passes 0.5, 0.55, 0.6 and 0.65 of ten
    recall = average_recall([truth], [[two_thirds, truth[1]]], [np.array([0.9, 0.8])])
    assert recall["all"] == pytest.approx((0.4 + 1.0) / 2)
    assert recall["small"] == recall["all"] and np.isnan(recall["large"])
    assert average_recall([truth], [truth], [np.ones(2)], max_masks=1000)["all"] == 1.0
    assert average_recall([truth], [truth], [np.ones(2)], max_masks=11)["all"] == 1.0
    assert average_recall([truth], [[]], [np.ones(0)])["all"] == 0.0


def test_recall_is_refused_where_not_everything_has_a_mask(shapes_data, tmp_path, capsys):
    arguments = ["everything", "--model", "lite_sam", "--data", str(shapes_data), "--on", "shapes_val"]
    assert main(arguments) == 2
    assert "shapes_val.json: mask AR needs images in which every object has a mask" in capsys.readouterr().err
    (tmp_path / "x.json").write_text('{"info": {"exhaustive": true}}')
    check_exhaustive(tmp_path / "x.json")


def test_everything_is_scored_with_proposals_and_with_a_grid(shapes_data, bundle_folder):
    segmenter = Segmenter.open(bundle_folder)
    records = read_folder(shapes_data, ["shapes_val"])[:1]
    for grid in (None, 4):
        assert 0 <= everything_recall(segmenter, records, 16, grid)["all"] <= 1


def test_proposal_prompts_can_be_compared(shapes_data, tmp_path):
    shutil.copytree(shapes_data, data := tmp_path / "data")
    path = data / "annotations" / "shapes_val.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "info": {"exhaustive": True}}))
    arguments = ["--data", str(data), "--on", "shapes_val", "--limit", "2", "--max-prompts", "32"]
    arguments += ["--proposal-prompt", "boxes", "points", "--json", str(tmp_path / "report.json")]
    assert main(["everything", "--model", "lite_sam", *arguments]) == 0
    rows = json.loads((tmp_path / "report.json").read_text())["shapes_val"]
    assert rows["AutoPPN 32"] == rows["AutoPPN 32, points"] != rows["AutoPPN 32, boxes"]


def test_the_most_complete_annotator_covers_most(shapes_data):
    record = read_folder(shapes_data, ["shapes_val"])[0]
    areas = [record.read_mask(i).sum() for i in range(len(record.rles))]
    annotators = np.arange(len(areas))
    divided = type(record)(**{**record.__dict__, "annotators": annotators})
    assert most_complete_annotator(divided).tolist() == [int(np.argmax(areas))]
    assert len(most_complete_annotator(record)) == len(areas)


def test_edges_match_one_to_one_within_the_tolerance():
    line, beside, far = (np.zeros((60, 80), bool) for _ in range(3))
    line[30, 10:70], beside[31, 10:70], far[40, 10:70] = True, True, True
    assert all(hits.all() for hits in match_pixels(line, beside, 2.0))
    assert not any(hits.any() for hits in match_pixels(line, far, 2.0))
    twice = beside | line
    drawn, true = match_pixels(twice, line, 2.0)
    assert true.all() and drawn.sum() == 60  # every true pixel has one partner, the rest is too much
    assert [hits.size for hits in match_pixels(np.zeros((5, 5), bool), line[:5, :5], 2.0)] == [0, 0]


def test_edge_scores_of_two_images_by_hand():
    """Rows are thresholds: found, true, right, drawn."""
    first = [[8, 10, 8, 16], [6, 10, 6, 6]]
    second = [[10, 10, 10, 10], [2, 10, 2, 2]]
    score = score_counts(np.array([first, second], float), np.array([0.3, 0.6]))
    f = [2 * (18 / 20) * (18 / 26) / (18 / 20 + 18 / 26), 2 * (8 / 20) / (8 / 20 + 1)]
    assert score.ods == pytest.approx(max(f))
    # The first picture does best at 0.6 (F 0.75 against 0.615), the second at 0.3.
    recall, precision = 16 / 20, 16 / 16
    assert score.ois == pytest.approx(2 * recall * precision / (recall + precision))
    grid = np.linspace(0, 1, 101)
    grid = grid[(grid >= 0.4) & (grid <= 0.9)]
    assert score.ap == pytest.approx(np.interp(grid, [0.4, 0.9], [1.0, 18 / 26]).sum() / 100)


def test_a_ridge_is_thinned_to_its_crest():
    xs = np.mgrid[:60, :80][1]
    ridge = np.exp(-((xs - 40.2) ** 2) / 18).astype(np.float32)
    kept = suppress(ridge)
    assert (kept[10:50] > 0).sum(1).max() <= 2 and (kept[10:50, 40] > 0).all()


def test_borders_of_segments_are_thin_and_their_own_best_edges(shapes_data):
    labels = np.zeros((60, 80), int)
    labels[10:50, 20:60] = 1
    edge = label_boundaries(labels)
    assert 150 <= edge.sum() <= 162
    counts = edge_counts(edge.astype(np.float32), [edge], np.array([0.5]))
    assert counts.tolist() == [[edge.sum()] * 4]
    record = read_folder(shapes_data, ["shapes_val"])[0]
    assert boundaries(record)[0].any()
    scores = score_edges(None, [record], 16, 5, ("Canny", "Felzenszwalb"))
    assert scores["Felzenszwalb"].ods > 0.5 and scores["Canny"].ods > 0.3


def test_costs_are_the_published_ones():
    """The paper counts pooling as nothing; ours run inside a 7x7 (11x11) convolution instead of the 3x3."""
    costs = network_costs("lite_sam")
    assert costs["image encoder"].parameters == pytest.approx(1.16e6, rel=0.01)
    channels = 3 * 64 * 320**2 + 96 * 160**2 + 4 * 128 * 80**2 + 256 * 40**2
    pooling, proposals = channels * (49 - 9), 64 * 160**2 * (121 - 9)
    assert costs["image encoder"].macs - pooling == pytest.approx(10.9e9, rel=0.01)
    assert sum(c.parameters for c in costs.values()) == pytest.approx(4.2e6, rel=0.02)
    assert sum(c.macs for c in costs.values()) - pooling - proposals == pytest.approx(12.7e9, rel=0.02)


def test_tables_are_aligned_and_json_has_null_for_nan(capsys):
    table = {"one method": {"all": 0.5, "BIoU medium": float("nan")}, "b": {"all": 1.0, "objects": 1234}}
    print_table("title", table)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["one", "method", "0.500", "-", "-"],
        ["b", "1.000", "-", "1,234"],
    ]
    assert len({len(line) for line in lines}) == 1
    written = json.loads(json.dumps(as_json({"title": table}), allow_nan=False))
    assert written["title"]["one method"] == {"all": 0.5, "BIoU medium": None}


def test_evaluation_prints_tables_and_writes_json(shapes_data, bundle_folder, tmp_path, capsys):
    arguments = ["boxes", "--model", str(bundle_folder), "--data", str(shapes_data), "--on", "shapes_val"]
    more = ["--limit", "1", "--clicks", "--json", str(tmp_path / "r.json"), "--cases", str(tmp_path)]
    assert main([*arguments, *more]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    shown = capsys.readouterr().out
    assert f"{report['shapes_val']['GT box']['all']:.3f}" in shown
    assert (tmp_path / "shapes_val.jpg").is_file()


def test_old_option_names_mean_the_new_ones_and_warn(caplog):
    common = ["everything", "--model", "m", "--data", "d"]
    old = [*common, "--top-n", "5", "--whole", "--told", "boxes"]
    new = [*common, "--max-prompts", "5", "--no-foveal", "--proposal-prompt", "boxes"]
    assert rename_options(old, RENAMED) == new and len(caplog.records) == 3
    assert parser().parse_args(new).proposal_prompt == ["boxes"]
