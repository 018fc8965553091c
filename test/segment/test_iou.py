# SPDX-License-Identifier: Apache-2.0
"""IoU against pycocotools and by hand, and that no other file computes one."""

import ast
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from evitsam_ros.segment.iou import box_iou, class_iou, mask_iou, mask_iou_matrix, mask_overlap

ROOT = Path(__file__).resolve().parents[2]


def random_masks(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.random((count, 20, 30)) < rng.uniform(0.1, 0.9, (count, 1, 1))


def coco_ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    runs = [[coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in each] for each in (first, second)]
    return coco.iou(*runs, [0] * len(second))


def test_masks_are_compared_as_coco_does():
    first, second = random_masks(5, 0), random_masks(4, 1)
    expected = coco_ious(first, second)
    np.testing.assert_allclose(mask_iou_matrix(first, second), expected, rtol=1e-6)
    np.testing.assert_allclose(mask_iou(first[:4], second), expected.diagonal())
    assert float(mask_iou(first[0], second[3])) == pytest.approx(expected[0, 3])


def test_empty_masks_have_the_requested_iou():
    empty, full = np.zeros((2, 3, 3), bool), np.ones((2, 3, 3), bool)
    assert mask_iou(empty, empty).tolist() == [0, 0]
    assert mask_iou(empty, empty, empty=1.0).tolist() == [1, 1]
    assert mask_iou(empty, full, empty=1.0).tolist() == [0, 0]
    assert mask_iou_matrix(empty, empty).tolist() == [[0, 0], [0, 0]]
    assert float(mask_iou(empty[0], empty[0], empty=1.0)) == 1.0


def test_overlaps_are_counted_pair_by_pair():
    a, b = np.zeros((2, 4, 4), bool), np.zeros((2, 4, 4), bool)
    a[0, :2], b[0, 1:3] = True, True
    assert [part.tolist() for part in mask_overlap(a, b)] == [[4, 0], [12, 0]]


def test_classes_are_compared_as_their_masks():
    rng = np.random.default_rng(3)
    first, second = rng.integers(0, 3, (2, 20, 30))
    confusion = np.bincount((4 * first + second).ravel(), minlength=16).reshape(4, 4)
    ious, pixels = class_iou(confusion)
    for label in range(4):
        assert ious[label] == pytest.approx(float(mask_iou(first == label, second == label)))
        assert pixels[label] == ((first == label) | (second == label)).sum()
    assert ious[3] == pixels[3] == 0


def test_boxes_are_compared_as_coco_does():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 50, (9, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 60, (9, 2))], axis=1)
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    expected = coco.iou(sides[:5], sides[5:], [0] * 4)
    np.testing.assert_allclose(box_iou(boxes[:5, None], boxes[None, 5:]), expected)
    np.testing.assert_allclose(box_iou(boxes[:4], boxes[5:]), expected[:4].diagonal())
    assert box_iou(np.zeros(4), np.zeros(4)) == 0


def test_iou_is_computed_in_one_file():
    """No other function of NumPy code divides by what it calls a union, or intersects boxes and divides."""
    found = []
    for folder in ("evitsam_ros", "training", "bench", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                    below = ast.unparse(node.right)
                    if any(word in below for word in ("union", "either", "- overlap", "- both", " | ")):
                        found.append(path.relative_to(ROOT).as_posix())
    # Of probabilities, and of batches of tensors: neither is the IoU of two masks or boxes.
    soft = {"evitsam_ros/segment/mask_ranking.py", "training/losses.py"}
    assert "evitsam_ros/segment/iou.py" in found
    assert set(found) <= {"evitsam_ros/segment/iou.py", *soft}
