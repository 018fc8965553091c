# SPDX-License-Identifier: Apache-2.0
"""RViz's Publish Point: turn a point in space, in any frame, into a click on the cameras' images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..io.compressed_image import image_size
from .calibration import Calibration
from .managed_entities import ManagedEntities
from .recent_images import stamp_ns
from .transforms import Transforms

TOPIC = "clicked_point"
#: Largest angle in radians, along x or y, between a ray and the one that its pixel sees.
BENT = 0.02


class ClickError(ValueError):
    """A camera cannot see the point, or its position is unknown."""


@dataclass(frozen=True)
class PointTarget:
    """Describe a camera that 3D clicks are projected into.

    Attributes:
        name: of the camera; empty for the only one.
        calibration: of the camera.
        newest_image: returns the newest image that is not too old, or None.
        click: called with topic, header, x and y of a click in pixels.
    """

    name: str
    calibration: Calibration
    newest_image: Callable[[], Image | CompressedImage | None]
    click: Callable[[str, Header, float, float], None]


class PublishPointInput:
    """``clicked_point``: every camera that sees the point gets a click there, on its newest image.

    The transform is that of the image's time: a point in the map stays where it is while the robot drives.

    Args:
        node: a node with a running executor.
        entities: makes the subscriptions.
        targets: the cameras.
        report_error: called for clicks that no camera can use.
    """

    def __init__(
        self,
        node: Any,
        entities: ManagedEntities,
        targets: Sequence[PointTarget],
        report_error: Callable[[str, str], None],
    ) -> None:
        self._targets, self._report_error = targets, report_error
        self._transforms = Transforms(node, entities, report_error)
        entities.subscription(PointStamped, TOPIC, self._on_click, 10)

    def _on_click(self, message: PointStamped) -> None:
        reasons = []
        for target in self._targets:
            try:
                image, (x, y) = self._pixel(target, message)
            except ValueError as error:
                reasons.append(f"{target.name}: {error}" if target.name else str(error))
            else:
                target.click(TOPIC, image.header, x, y)
        if len(reasons) == len(self._targets):
            self._report_error("bad_prompts", f"{TOPIC}: {'; '.join(reasons)}")

    def _pixel(self, target: PointTarget, click: PointStamped) -> tuple[Any, tuple[float, float]]:
        """Return the camera's newest image and the pixel x, y at which it shows the point.

        Raises:
            ValueError: it does not show the point, or the pixel is unknown.
        """
        point = np.array([click.point.x, click.point.y, click.point.z, 1.0])
        if not np.isfinite(point).all():
            raise ClickError(f"point is {point[:3].tolist()}; expected finite metres")
        if not click.header.frame_id:
            raise ClickError("the point has no frame_id")
        image = target.newest_image()
        model = target.calibration.model(image.header.frame_id if image is not None else "")
        if image is None or model is None:
            missing = "image" if image is None else target.calibration.topic
            raise ClickError(f"no {missing} was received recently")
        model.check_size(image_size(image))
        frame = image.header.frame_id
        if not frame:
            raise ClickError("the camera's images have no frame_id")
        seen = self._transforms.matrix(frame, click.header.frame_id, stamp_ns(image.header)) @ point
        if seen[2] <= 0:
            raise ClickError(f"the point lies behind the camera ({seen[2]:.2f} m along its axis)")
        pixel = model.project(seen[:3])
        # Far outside of a lens's field of view its polynomial bends rays back into the image.
        ray, seen_ray = model.unproject(pixel)[0], seen[:2] / seen[2]
        # A prompt counts from the corner of the first pixel, a camera model from its centre.
        x, y = pixel[0] + 0.5
        height, width = model.size
        if np.isfinite(pixel).all() and not (0 <= x < width and 0 <= y < height):
            raise ClickError(
                f"the point is outside of the image: pixel ({x:.0f}, {y:.0f}) of {width} x {height}"
            )
        if not np.abs(np.arctan(ray) - np.arctan(seen_ray)).max() < BENT:
            raise ClickError("the point is outside of the lens's field of view")
        return image, (float(x), float(y))
