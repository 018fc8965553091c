# SPDX-License-Identifier: Apache-2.0
"""A box starts as a rounded box: against the closed form and OpenCV, and no other prompt notices."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evitsam_ros.models import create_model
from evitsam_ros.models.box_prior import BoxPrior

from ..conftest import lively


def draw(*boxes, size=(160, 160)) -> np.ndarray:
    coords = torch.tensor(boxes).view(-1, 2, 2)
    labels = torch.tensor([2.0, 3.0]).expand(len(boxes), 2)
    logits = BoxPrior()(coords, labels, size).detach().numpy()
    assert logits.shape == (len(boxes), 4, *size)
    np.testing.assert_array_equal(logits[:, 0], logits[:, 3])
    return logits[:, 0]


def test_it_is_the_superellipse_and_close_to_the_inscribed_ellipse():
    (ours,) = draw([0.2, 0.3, 0.7, 0.5])
    y, x = (np.mgrid[:1600, :1600] + 0.5) / 1600
    exact = (np.abs(x - 0.45) / 0.25 / 0.95) ** 3 + (np.abs(y - 0.4) / 0.1 / 0.95) ** 3 < 1
    expected = cv2.resize(exact.astype(np.float32), (160, 160), interpolation=cv2.INTER_AREA) > 0.5
    ellipse = cv2.ellipse(np.zeros((160, 160), np.uint8), (72, 64), (40, 16), 0, 0, 360, 1, -1) > 0
    for other, least in ((expected, 0.99), (ellipse, 0.9)):
        assert ((ours > 0) & other).sum() / ((ours > 0) | other).sum() > least
    assert ours.max() == pytest.approx(12.0, abs=0.1) and ours.min() == -24.0


def test_the_thinnest_box_is_still_drawn_where_it_is():
    ours = draw([0.501, 0.2, 0.502, 0.6], [0.9, 0.9, 0.9, 0.9], size=(80, 160))
    rows, columns = np.nonzero(ours[0] > 0)
    assert {80} <= set(columns) <= {79, 80} and 16 <= rows.min() < 20 and 43 < rows.max() < 48
    row, column = np.unravel_index(ours[1].argmax(), ours[1].shape)
    assert row in (71, 72) and column in (143, 144)


@pytest.fixture(scope="module")
def pair():
    """The same weights without a prior and with one."""
    plain, prior = (lively(create_model("lite_sam", box_prior=given)) for given in (False, True))
    prior.load_state_dict(plain.state_dict(), strict=False)
    return plain, prior


def decode(model, labels):
    spec = model.spec
    embedding = torch.randn(1, *spec.embedding, generator=torch.Generator().manual_seed(1))
    coords = torch.tensor([[[100.0, 200.0], [400.0, 500.0]]])
    empty = torch.zeros(1, 1, *spec.mask_size)
    with torch.no_grad():
        return model.decode(embedding, coords, torch.tensor([labels]), empty, torch.zeros(1))


@pytest.mark.parametrize("labels", [[1.0, -1.0], [1.0, 0.0], [2.0, 1.0]])
def test_prompts_without_a_box_are_unchanged(pair, labels):
    for a, b in zip(*(decode(model, labels) for model in pair), strict=True):
        torch.testing.assert_close(a, b)


def test_a_box_beside_a_point_is_a_guess_and_has_no_prior():
    coords = torch.rand(4, 4, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[2.0, 3, -1, -1], [2, 3, 1, -1], [0, 2, 3, -1], [-1, -1, 2, 3]])
    drawn = BoxPrior()(coords, labels, (40, 40)).detach().abs().amax((1, 2, 3)) > 0
    assert drawn.tolist() == [True, False, False, True]


def test_a_box_adds_its_shape_to_every_mask(pair):
    (shape,) = draw([100 / 640, 200 / 640, 400 / 640, 500 / 640])
    (plain, plain_iou), (prior, prior_iou) = (decode(model, [2.0, 3.0]) for model in pair)
    expected = torch.from_numpy(shape).expand(1, 4, -1, -1)
    torch.testing.assert_close(prior - plain, expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(prior_iou, plain_iou)


def test_a_checkpoint_defines_whether_it_has_a_prior(pair, tmp_path):
    path = tmp_path / "weights.safetensors"
    for model in reversed(pair):
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
        assert (create_model("lite_sam", path).box_prior is None) == (model is pair[0])
        if model is pair[1]:
            with pytest.raises(ValueError, match=r"box_prior\.height"):
                create_model("lite_sam", path, box_prior=False)
    assert create_model("lite_sam", path, box_prior=True).box_prior is not None
