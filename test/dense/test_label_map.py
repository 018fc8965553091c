# SPDX-License-Identifier: Apache-2.0
"""Label maps against torch's upsampling, and majorities against plain loops."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from evitsam_ros.dense.class_tables import CLASS_TABLES, ClassTable, class_table
from evitsam_ros.dense.label_map import majority_classes, upsampled_argmax


@pytest.mark.parametrize("size", [(24, 40), (25, 37), (6, 10)])
def test_classes_and_confidence_are_those_of_torch(size):
    logits = np.random.default_rng(0).normal(0, 3, (11, 6, 10)).astype(np.float32)
    full = F.interpolate(torch.from_numpy(logits)[None], size, mode="bicubic", align_corners=False)[0]
    classes, confidence = upsampled_argmax(logits, size, with_confidence=True)
    np.testing.assert_array_equal(classes, full.argmax(0).numpy())
    np.testing.assert_allclose(confidence, full.softmax(0).max(0).values.numpy(), rtol=1e-4)
    assert upsampled_argmax(logits, size)[1] is None


def test_majority_is_that_of_a_plain_count():
    rng = np.random.default_rng(1)
    objects = rng.choice([0, 3, 700, 65535], (20, 30)).astype(np.uint16)
    labels = rng.integers(0, 4, (20, 30), dtype=np.uint8)
    labels[objects == 700] = 0
    found = majority_classes(objects, labels)
    assert set(found) == {3, 700, 65535} and found[700] == (0, 1.0)
    for identity in (3, 65535):
        inside = labels[objects == identity].tolist()
        best = max((1, 2, 3), key=inside.count)
        assert found[identity] == (best, pytest.approx(inside.count(best) / len(inside)))


def test_majority_of_nothing_and_of_maps_that_differ():
    assert majority_classes(np.zeros((2, 2), int), np.ones((2, 2), np.uint8)) == {}
    with pytest.raises(ValueError, match="differ in size"):
        majority_classes(np.zeros((2, 2), int), np.zeros((3, 2), np.uint8))


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
