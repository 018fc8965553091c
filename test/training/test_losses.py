# SPDX-License-Identifier: Apache-2.0
"""Losses and targets against closed forms."""

import cv2
import numpy as np
import pytest
import torch

from training.losses import (
    MaskLossWeights,
    bce_loss,
    dice_loss,
    focal_loss,
    hard_iou,
    mask_loss,
    proposal_loss,
    rank_loss,
    sized_bce_loss,
)
from training.targets import proposal_targets


def test_focal_loss_is_weighted_cross_entropy():
    logits, target = torch.tensor([[[0.7, -1.2]]]), torch.tensor([[[1.0, 0.0]]])
    p = 1 / (1 + np.exp(-np.array([0.7, -1.2])))
    expected = (0.25 * (1 - p[0]) ** 2 * -np.log(p[0]) + 0.75 * p[1] ** 2 * -np.log(1 - p[1])) / 2
    assert focal_loss(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_dice_of_a_perfect_mask_is_0_and_of_an_opposite_one_1():
    target = torch.zeros(1, 20, 20)
    target[:, 5:15] = 1
    assert dice_loss((target - 0.5) * 100, target).item() == pytest.approx(0, abs=1e-4)
    assert dice_loss((0.5 - target) * 100, target).item() == pytest.approx(1 - 1 / 401, abs=1e-4)


def test_sized_cross_entropy_rescales_the_mean():
    target = torch.zeros(1, 16, 16)
    target[:, :8, :8] = 1
    logits = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0))
    ratio = sized_bce_loss(logits, target) / bce_loss(logits, target)
    assert ratio.item() == pytest.approx(256 / (64 * 256) ** 0.5, rel=1e-5)


def test_pixels_outside_of_the_box_weigh_more():
    """One mask, one pixel outside: its cross entropy counts four times."""
    logits, target = torch.tensor([[[[0.5, -0.3]]] * 3]).view(1, 3, 1, 2), torch.tensor([[[1.0, 0.0]]])
    outside, sure = torch.tensor([[[False, True]]]), torch.tensor([True])
    base = {"pixel": "bce", "pixel_weight": 1.0, "dice_weight": 0.0, "iou_weight": 0.0}
    iou = torch.zeros(1, 3)
    plain, _ = mask_loss(logits, iou, target, sure, MaskLossWeights(**base), outside)
    heavy, _ = mask_loss(logits, iou, target, sure, MaskLossWeights(**base, outside_weight=4.0), outside)
    inner, outer = np.log1p(np.exp(-0.5)), np.log1p(np.exp(-0.3))
    assert plain.item() == pytest.approx((inner + outer) / 2, rel=1e-5)
    assert heavy.item() == pytest.approx((inner + 4 * outer) / 2, rel=1e-5)


def test_hard_iou_counts_pixels():
    logits = torch.tensor([[[1.0, 1.0, -1.0, -1.0]]])
    assert hard_iou(logits, torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])).item() == pytest.approx(1 / 3)


def test_only_the_best_mask_of_an_ambiguous_prompt_learns():
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    logits = torch.zeros(1, 3, 8, 8)
    logits[0, 1] = (target[0] - 0.5) * 4
    logits.requires_grad_()
    iou = torch.zeros(1, 3)
    for sure, learning in ((False, [False, True, False]), (True, [True, True, True])):
        loss, _ = mask_loss(logits, iou, target, torch.tensor([sure]), MaskLossWeights())
        (grad,) = torch.autograd.grad(loss, logits)
        assert (grad.abs().sum((0, 2, 3)) > 0).tolist() == learning


def test_ranked_iou_is_that_of_the_mask_with_the_best_predicted_iou():
    target = torch.zeros(1, 4, 4)
    target[:, :2] = 1
    logits = torch.stack([target[0] - 0.5, 0.5 - target[0], torch.ones(4, 4)])[None]
    _, ranked = mask_loss(
        logits, torch.tensor([[0.1, 0.2, 0.9]]), target, torch.tensor([True]), MaskLossWeights()
    )
    assert ranked.item() == pytest.approx(0.5)


def test_rank_loss_is_the_iou_lost_by_the_selection():
    true_iou = torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.6, 0.4]])
    right = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    wrong = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert rank_loss(right, true_iou).item() == pytest.approx(0.0, abs=1e-6)
    assert rank_loss(wrong, true_iou).item() == pytest.approx((0.4 + 0.2) / 2, abs=1e-6)
    # Between masks of equal prediction the choice is even, and the gradient raises the better one.
    equal = torch.zeros(1, 3, requires_grad=True)
    loss = rank_loss(equal, true_iou[:1])
    loss.backward()
    assert loss.item() == pytest.approx(0.9 - 0.5, abs=1e-6)
    assert equal.grad[0, 0] < 0 < equal.grad[0, 2]


def test_heat_is_the_distance_transform_of_the_smallest_mask():
    big, small = np.zeros((40, 40), np.float32), np.zeros((40, 40), np.float32)
    big[4:36, 4:36], small[10:15, 20:27] = 1, 1
    boxes = np.array([[16, 16, 144, 144], [80, 40, 108, 60]], np.float32)
    heat, distances, group = proposal_targets(np.stack([big, small]), boxes, 160.0)
    alone = cv2.distanceTransform(small.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = small > 0
    np.testing.assert_allclose(heat[inside], (alone / alone.max())[inside], rtol=1e-5)
    assert heat[20, 19] == pytest.approx(1.0) and heat[0, 0] == 0
    assert group[12, 22] == 1 and group[30, 30] == 2 and group[0, 0] == -1
    # From the centre of cell (12, 22) to the sides of the small box, as fractions of the side.
    x, y = 22.5 * 4, 12.5 * 4
    expected = np.array([x - 80, y - 40, 108 - x, 60 - y]) / 160
    np.testing.assert_allclose(distances[:, 12, 22], expected, rtol=1e-5)


@pytest.mark.parametrize(("side", "group"), [(0.05, 0), (0.051, 1), (0.249, 1), (0.25, 2)])
def test_size_groups_have_the_papers_borders(side, group):
    mask = np.zeros((1, 40, 40), np.float32)
    mask[0, :1, :1] = 1
    boxes = np.array([[0, 0, side * 1000, 10]], np.float32)
    assert proposal_targets(mask, boxes, 1000.0)[2][0, 0] == group


def test_unlabelled_pixels_have_no_loss_and_perfect_maps_nearly_none():
    heat_target = torch.zeros(1, 16, 16)
    heat_target[:, 4:8, 4:8] = 1
    group = torch.full((1, 16, 16), -1)
    group[:, 2:10, 2:10] = 2
    box_target = torch.full((1, 4, 16, 16), 0.2)
    box = torch.full((1, 4, 16, 16), float(np.log(np.expm1(0.2))))
    heat = (heat_target[:, None] - 0.5) * 40
    heat[:, :, 12:] = 40.0  # wrong, but unlabelled
    heat_loss, box_loss = proposal_loss(heat, box, heat_target, box_target, group)
    assert heat_loss.item() < 1e-6 and box_loss.item() < 1e-6
    worse, _ = proposal_loss(-heat, box, heat_target, box_target, group)
    assert worse.item() > 0.5
