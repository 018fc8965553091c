# SPDX-License-Identifier: Apache-2.0
"""Boxes and clicks with closer looks, scored beside those without, by networks whose masks are known."""

import cv2
import numpy as np

from training.evaluation.prompted import score_prompts
from training.records import Record

from ...segment.threshold_network import discs, threshold_segmenter
from ..masks import encoded


def test_closer_looks_have_rows_of_their_own(tmp_path):
    image, (mask,) = discs((256, 256), (70.0, 90.0, 17.0))
    path = tmp_path / "disc.png"
    cv2.imwrite(str(path), image)
    ys, xs = np.nonzero(mask)
    box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    record = Record("disc", path, "discs", 256, 256, [encoded(mask)], box, np.zeros(1, int))
    segmenter, _ = threshold_segmenter()
    plain = score_prompts(segmenter, [record], (1,), ())
    table = score_prompts(segmenter, [record], (1,), (), closer=1)
    assert {name: row for name, row in table.items() if not name.endswith(", closer")} == plain
    assert set(table) - set(plain) == {"GT box, closer", "1 click, closer"}
    for method in ("GT box", "1 click"):
        assert table[f"{method}, closer"]["all"] > 0.93 > table[method]["all"]
        assert table[f"{method}, closer"]["BIoU all"] > table[method]["BIoU all"]
