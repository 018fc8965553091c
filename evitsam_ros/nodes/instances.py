# SPDX-License-Identifier: Apache-2.0
"""Convert masks to evitsam_interfaces/InstanceArray: each object with its mask, cropped to where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from sensor_msgs.msg import RegionOfInterest
from std_msgs.msg import Header

from ..geometry3d import ObjectInSpace
from ..segment import Masks
from ..segment.mask_grid import GRIDS, MaskGrid
from .messages import image_message
from .prompt_updates import StoredPrompt


@dataclass(frozen=True)
class ObjectLabel:
    """Facts about an object beside its mask.

    Attributes:
        name: its class; empty: "object".
        sender_id: id or name that the sender of its prompt gave it; may be empty.
        score: of the detector that found it; None for none.
    """

    name: str = ""
    sender_id: str = ""
    score: float | None = None


def labels_of(prompts: Iterable[StoredPrompt], names: Mapping[int, str]) -> dict[int, ObjectLabel]:
    """Return the facts about objects by id.

    Args:
        prompts: of the prompted ones.
        names: classes of all objects by id, as they are published.
    """
    labels = {identity: ObjectLabel(name) for identity, name in names.items()}
    for item in prompts:
        name = names.get(item.identity) or item.name
        labels[item.identity] = ObjectLabel(name, item.sender_id, item.score)
    return labels


@dataclass(frozen=True)
class Space:
    """Hold the 3D positions of an image's objects.

    Attributes:
        frame_id: coordinate frame; empty if unknown.
        objects: by id, in that frame.
    """

    frame_id: str = ""
    objects: Mapping[int, ObjectInSpace] = field(default_factory=dict)


def instances_message(
    header: Header,
    masks: Masks,
    labels: Mapping[int, ObjectLabel],
    grid: MaskGrid = GRIDS["image"],
    space: Space | None = None,
) -> Any:
    """Make an evitsam_interfaces/InstanceArray.

    Args:
        header: of the image.
        masks: of the image.
        labels: by object id; an object without one is "object".
        grid: pixels of masks, regions and boxes.
        space: where the objects are; None: not known.
    """
    from evitsam_interfaces.msg import InstanceArray

    space = space or Space()
    height, width = grid.size(masks)
    message = InstanceArray(header=header, height=height, width=width, spatial_frame_id=space.frame_id)
    boxes = masks.boxes / np.tile(grid.image_pixels(masks), 2)
    for index, identity in enumerate(masks.object_ids.tolist()):
        label = labels.get(identity, ObjectLabel())
        instance = _instance(identity, label, float(masks.scores[index]))
        instance.box = boxes[index].astype(float)
        mask, (y, x) = grid.crop(masks, index)
        instance.roi = RegionOfInterest(y_offset=y, x_offset=x, height=mask.shape[0], width=mask.shape[1])
        instance.mask = image_message(header, mask.astype(np.uint8) * np.uint8(255), "mono8")
        if identity in space.objects:
            _set_place(instance, space.objects[identity])
        message.instances.append(instance)
    return message


def _instance(identity: int, label: ObjectLabel, score: float) -> Any:
    from evitsam_interfaces.msg import Instance

    message = Instance(id=identity, name=label.sender_id, class_name=label.name or "object", score=score)
    message.prompt_score = -1.0 if label.score is None else label.score
    return message


def _set_place(instance: Any, place: ObjectInSpace) -> None:
    instance.has_depth = True
    instance.centroid = Point(**_named("xyz", place.centroid))
    instance.box_pose.position = Point(**_named("xyz", place.box.centre))
    instance.box_pose.orientation = Quaternion(**_named("xyzw", place.box.quaternion))
    instance.box_size = Vector3(**_named("xyz", place.box.size))


def _named(names: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
