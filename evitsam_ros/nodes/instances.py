# SPDX-License-Identifier: Apache-2.0
"""Convert masks to evitsam_interfaces/InstanceArray: each object with its mask, cropped to where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from ..segment import Masks
from .messages import image_message


@dataclass(frozen=True)
class ObjectLabel:
    """What is known of an object beside its mask.

    Attributes:
        name: its class; empty: "object".
        sender_id: id or name that the sender of its prompt gave it; may be empty.
        score: of the detector that found it; None for none.
    """

    name: str = ""
    sender_id: str = ""
    score: float | None = None


def instances_message(header: Header, masks: Masks, labels: Mapping[int, ObjectLabel]) -> Any:
    """Make an evitsam_interfaces/InstanceArray at the size of the image.

    Args:
        header: of the image.
        masks: of the image, none of them empty.
        labels: by object id; an object without one is "object".
    """
    from evitsam_interfaces.msg import InstanceArray

    height, width = masks.image_size
    message = InstanceArray(header=header, height=height, width=width)
    for index, identity in enumerate(masks.object_ids.tolist()):
        mask, (y, x) = masks.crop(index)
        message.instances.append(
            _instance(
                header,
                identity,
                labels.get(identity, ObjectLabel()),
                float(masks.scores[index]),
                masks.boxes[index],
                mask,
                (y, x),
            )
        )
    return message


def _instance(
    header: Header,
    identity: int,
    label: ObjectLabel,
    score: float,
    box: np.ndarray,
    mask: np.ndarray,
    offset: tuple[int, int],
) -> Any:
    """Make an evitsam_interfaces/Instance of a mask ``(h, w)`` bool at an offset y, x."""
    from evitsam_interfaces.msg import Instance

    message = Instance(id=identity, name=label.sender_id, class_name=label.name or "object", score=score)
    message.prompt_score = -1.0 if label.score is None else label.score
    message.box = box.astype(float)
    mask, (y, x) = _trimmed(mask, offset)
    height, width = mask.shape
    message.roi = RegionOfInterest(y_offset=y, x_offset=x, height=height, width=width)
    message.mask = image_message(header, mask.astype(np.uint8) * np.uint8(255), "mono8")
    return message


def _trimmed(mask: np.ndarray, offset: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the mask without empty rows and columns around it, and its offset y, x."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return mask[:0, :0], offset
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    return part, (int(offset[0]) + top, int(offset[1]) + left)
