# SPDX-License-Identifier: Apache-2.0
"""Make markers of the objects in 3D, for RViz: edges of their boxes, a text each, and faces on request. Every
array begins with DELETEALL and contains all objects, so that a subscriber that missed arrays shows the last
one. A marker's lifetime ends some frames later, so that boxes disappear with their node.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from collections.abc import Mapping

import numpy as np
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ..geometry3d import Box3D
from ..segment.overlay import object_colours

#: Minimum side of a box in RViz, metres: faces of a flat box would not be drawn.
MIN_SIDE = 0.005
#: Width of an edge and height of a text, metres for each metre of distance to the camera.
EDGE_WIDTH, TEXT_HEIGHT = 0.003, 0.035
#: Opacity of faces.
FACE_ALPHA = 0.3
#: Lifetime of markers: intervals between arrays, and its limits in seconds.
LIFETIME_FRAMES, MIN_LIFETIME, MAX_LIFETIME = 5.0, 2.0, 30.0

#: Corners of a box around the origin with sides of length 1, and pairs of them that an edge joins.
CORNERS = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if np.abs(CORNERS[a] - CORNERS[b]).sum() == 1]


class MarkerLifetime:
    """Choose the lifetime of markers from the intervals between the arrays."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=15)
        self._last: float | None = None

    def next(self, now: float | None = None) -> float:
        """Return the lifetime in seconds for an array that is published now.

        Args:
            now: seconds of the monotonic clock; None: the current time.
        """
        now = time.monotonic() if now is None else now
        if self._last is not None:
            self._intervals.append(min(now - self._last, MAX_LIFETIME))
        self._last = now
        usual = statistics.median(self._intervals) if self._intervals else 0.0
        return float(np.clip(LIFETIME_FRAMES * usual, MIN_LIFETIME, MAX_LIFETIME))


def object_markers(
    header: Header,
    boxes: Mapping[int, Box3D],
    scores: Mapping[int, float],
    names: Mapping[int, str],
    lifetime: float,
    *,
    filled: bool = False,
) -> MarkerArray:
    """Return all markers of a frame; the first one deletes those of earlier frames.

    Args:
        header: of the image.
        boxes: by object id, in the frame of the header.
        scores: predicted IoU by object id.
        names: by object id; an empty name is "object".
        lifetime: seconds.
        filled: draw the faces of the boxes too. Faces intercept RViz's clicks on points inside.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for identity, box in boxes.items():
        text = f"{identity} {names.get(identity) or 'object'} {scores[identity]:.2f}"
        markers += [_edges(header, identity, box), _text(header, identity, box, text)]
        if filled:
            markers.append(_faces(header, identity, box))
    seconds = int(lifetime)
    for marker in markers[1:]:
        marker.lifetime.sec, marker.lifetime.nanosec = seconds, int((lifetime - seconds) * 1e9)
    return MarkerArray(markers=markers)


def _edges(header: Header, identity: int, box: Box3D) -> Marker:
    marker = _marker(header, "boxes", identity, box, Marker.LINE_LIST)
    corners = [_point(corner) for corner in CORNERS * box.size]
    marker.points = [corners[index] for edge in EDGES for index in edge]
    marker.scale.x = EDGE_WIDTH * _distance(box)
    return marker


def _faces(header: Header, identity: int, box: Box3D) -> Marker:
    marker = _marker(header, "faces", identity, box, Marker.CUBE)
    marker.scale = Vector3(**dict(zip("xyz", np.maximum(box.size, MIN_SIDE).tolist(), strict=True)))
    marker.color.a = FACE_ALPHA
    return marker


def _text(header: Header, identity: int, box: Box3D, text: str) -> Marker:
    """Return a text above the box; y points down in an optical frame."""
    marker = _marker(header, "texts", identity, box, Marker.TEXT_VIEW_FACING)
    marker.text = text
    marker.scale.z = TEXT_HEIGHT * _distance(box)
    marker.pose.position.y -= float(np.abs(box.axes[1]) @ box.size) / 2 + marker.scale.z
    marker.pose.orientation = Quaternion(w=1.0)
    return marker


def _marker(header: Header, namespace: str, identity: int, box: Box3D, kind: int) -> Marker:
    """Return a marker with the pose of a box and the colour that the object has in the overlay."""
    marker = Marker(header=header, ns=namespace, id=identity, type=kind, action=Marker.ADD)
    marker.pose.position = _point(box.centre)
    marker.pose.orientation = Quaternion(**dict(zip("xyzw", box.quaternion.tolist(), strict=True)))
    red, green, blue = (float(c) / 255 for c in object_colours(np.array([identity]))[0])
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    return marker


def _point(values: np.ndarray) -> Point:
    return Point(**dict(zip("xyz", values.tolist(), strict=True)))


def _distance(box: Box3D) -> float:
    """Return the distance of a box from the camera, metres; not less than 0.1."""
    return max(0.1, float(np.linalg.norm(box.centre)))
