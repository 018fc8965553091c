# SPDX-License-Identifier: Apache-2.0
"""Label maps against torch's upsampling, and majorities against plain loops."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from evitsam_ros.dense.class_tables import CLASS_TABLES, ClassTable, class_table
from evitsam_ros.dense.label_map import PixelClasses, majority_labels


@pytest.mark.parametrize("size", [(24, 40), (25, 37), (6, 10)])
def test_classes_and_confidence_are_those_of_torch(size):
    logits = np.random.default_rng(0).normal(0, 3, (11, 6, 10)).astype(np.float32)
    full = F.interpolate(torch.from_numpy(logits)[None], size, mode="bicubic", align_corners=False)[0]
    found = PixelClasses(logits, size)
    np.testing.assert_array_equal(found.classes, full.argmax(0).numpy())
    np.testing.assert_allclose(found.confidence(), full.softmax(0).max(0).values.numpy(), rtol=1e-4)
    np.testing.assert_allclose(found.confidence(7), full.softmax(0)[7].numpy(), rtol=1e-4)


def test_majority_is_that_of_a_plain_count():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, (20, 30), dtype=np.uint8)
    labels[:, 20:] = 0
    masks = rng.random((5, 20, 30)) > 0.6  # they overlap, as SAM's do
    masks[3, :, :20] = False
    masks[4] = False
    winners, shares = majority_labels(masks, labels)
    assert winners[3:].tolist() == [0, 0] and shares.tolist()[3:] == [1.0, 0.0]
    for mask, winner, share in zip(masks[:3], winners, shares, strict=False):
        inside = labels[mask].tolist()
        best = max((1, 2, 3), key=inside.count)
        assert (winner, share) == (best, pytest.approx(inside.count(best) / len(inside)))


def test_majority_of_empty_masks_and_of_maps_of_another_size():
    assert [
        len(found) for found in majority_labels(np.zeros((0, 2, 2), bool), np.ones((2, 2), np.uint8))
    ] == [
        0,
        0,
    ]
    with pytest.raises(ValueError, match="differ in size"):
        majority_labels(np.zeros((1, 2, 2), bool), np.zeros((3, 2), np.uint8))


def test_tables_have_the_classes_of_their_data_sets():
    assert {name: len(table.names) for name, table in CLASS_TABLES.items()} == {
        "cityscapes": 19,
        "ade20k": 150,
        "camvid": 11,
    }
    cityscapes = class_table("cityscapes")
    assert cityscapes.names[13] == "car" and cityscapes.colours[13] == (0, 0, 142)
    assert class_table("ade20k").names[:4] == ("wall", "building", "sky", "floor")
    assert cityscapes.palette.shape == (20, 3) and not cityscapes.palette[0].any()
    with pytest.raises(ValueError, match=r"'voc' has no class table.*camvid"):
        class_table("voc")
    with pytest.raises(ValueError, match="different ones"):
        ClassTable(("road", "road"), ((0, 0, 0), (1, 1, 1)))
