# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the official weights, as others published it. None of it was measured by this project."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Hold one published metric.

    Attributes:
        metric: ``mAP``, zero-shot instance segmentation of COCO val2017 from the boxes of a ViTDet detector,
            or ``box mIoU``, mean IoU of COCO val2017 from human boxes, both in percent.
        value: the figure.
        source: its publication.
    """

    metric: str
    value: float
    source: str

    def __str__(self) -> str:
        return f"{self.value:.1f} {self.metric}"


MAP, BOX = "mAP", "box mIoU"
_TABLE_1 = "EfficientViT-SAM, table 1"
_LITE_SAM = "Lite-SAM, table 5"

#: Registry name -> the figure of the official weights.
PUBLISHED = {
    "efficientvit_sam_l0": Published(MAP, 45.7, _TABLE_1),
    "efficientvit_sam_l1": Published(MAP, 46.2, _TABLE_1),
    "efficientvit_sam_l2": Published(MAP, 46.6, _TABLE_1),
    "efficientvit_sam_xl0": Published(MAP, 47.5, _TABLE_1),
    "efficientvit_sam_xl1": Published(MAP, 47.8, _TABLE_1),
    "sam_vit_b": Published(BOX, 75.0, _LITE_SAM),
    "sam_vit_l": Published(BOX, 76.4, _LITE_SAM),
    "sam_vit_h": Published(MAP, 46.5, _TABLE_1),
    "mobile_sam": Published(MAP, 38.7, _TABLE_1),
    "tiny_sam": Published(MAP, 42.3, "TinySAM's repository"),
    "repvit_sam": Published(MAP, 44.4, "RepViT's repository"),
    "edge_sam": Published(MAP, 42.1, _TABLE_1),
}
