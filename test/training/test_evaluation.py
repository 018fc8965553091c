# SPDX-License-Identifier: Apache-2.0
"""The evaluator against hand-made cases with known answers."""

import numpy as np
import pytest

from evitsam_ros.segment import Segmenter
from training.annotations import read_folder
from training.baselines import filled_box, grabcut, inscribed_ellipse
from training.evaluate import evaluate
from training.metrics import central_point, mask_iou, next_click, size_group


def rectangle(x0: int, y0: int, x1: int, y1: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_iou_of_shifted_rectangles():
    assert mask_iou(rectangle(10, 10, 30, 30), rectangle(20, 10, 40, 30)) == pytest.approx(1 / 3)
    assert mask_iou(rectangle(0, 0, 0, 0), rectangle(0, 0, 0, 0)) == 1.0


@pytest.mark.parametrize(
    ("area", "group"), [(1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_size_groups_are_cocos(area, group):
    assert size_group(area) == group


def test_first_click_is_the_centre_and_the_next_one_the_larger_error():
    truth = rectangle(10, 10, 41, 31)
    assert central_point(truth)[1] == 20
    point, label = next_click(truth, rectangle(10, 10, 21, 31))
    # The missed part is 20 wide and 21 high: two columns and two rows lie equally deep.
    assert label == 1 and point[0] in (30, 31) and point[1] in (19, 20, 21)
    point, label = next_click(truth, rectangle(10, 10, 75, 31))
    assert label == 0 and 51 <= point[0] <= 65
    assert next_click(truth, truth) is None


def test_baselines_have_the_areas_of_their_shapes():
    image, box = np.zeros((200, 300, 3), np.uint8), np.array([50, 40, 250, 160], np.float32)
    assert filled_box(image, box).sum() == 200 * 120
    assert inscribed_ellipse(image, box).sum() == pytest.approx(np.pi * 100 * 60, rel=0.01)
    mask = rectangle(100, 80, 200, 120, (200, 300))
    image[mask] = (250, 60, 60)
    assert mask_iou(grabcut(image, box), mask) > 0.95


def test_evaluation_scores_baselines_and_model_through_the_same_code(shapes_data, bundle_folder):
    records = read_folder(shapes_data, ["shapes_val"])[:2]
    report = evaluate(Segmenter.open(bundle_folder), records, (1,), ("box filled", "inscribed ellipse"))
    assert set(report) == {"box filled", "inscribed ellipse", "GT box", "GT box, best of 3", "1 click"}
    # Drawn ellipses and rectangles: one baseline or the other is nearly right for each.
    assert report["inscribed ellipse"]["all"] > 0.6
    for index, record in enumerate(records):
        wanted = [
            mask_iou(filled_box(record.read_image(), box), record.read_mask(i).astype(bool))
            for i, box in enumerate(record.boxes)
        ]
        alone = evaluate(None, [records[index]], (), ("box filled",))
        assert alone["box filled"]["all"] == pytest.approx(np.mean(wanted))
    assert report["GT box, best of 3"]["all"] >= report["GT box"]["all"]
