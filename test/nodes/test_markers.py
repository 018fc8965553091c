# SPDX-License-Identifier: Apache-2.0
"""Markers of boxes in space: their edges against the box's own geometry, texts, colours and lifetimes."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from evitsam_ros.geometry3d import Box3D
from evitsam_ros.nodes.markers import MAX_LIFETIME, MIN_LIFETIME, MarkerLifetime, object_markers
from evitsam_ros.segment import draw_label_map

HEADER = Header(frame_id="camera_7")
AXES = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix()
BOX = Box3D(np.array([0.2, -0.1, 1.5]), AXES, np.array([0.6, 0.3, 0.1]))


def markers(filled: bool = False, lifetime: float = 2.5) -> list[Marker]:
    return object_markers(HEADER, {7: BOX}, {7: 0.871}, {7: "cup"}, lifetime, filled=filled).markers


def in_space(marker: Marker) -> np.ndarray:
    """The points of a marker in the camera's frame, ``(N, 3)``."""
    turn, place = marker.pose.orientation, marker.pose.position
    own = np.array([[p.x, p.y, p.z] for p in marker.points])
    turned = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).apply(own)
    return turned + np.array([place.x, place.y, place.z])


def test_edges_are_the_twelve_of_the_box():
    edges = in_space(markers()[1]).reshape(12, 2, 3)
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    corners = BOX.centre + (signs * BOX.size / 2) @ AXES.T
    lengths = np.linalg.norm(edges[:, 0] - edges[:, 1], axis=1)
    np.testing.assert_allclose(sorted(lengths), sorted(np.repeat(BOX.size, 4)), atol=1e-9)
    found = edges.reshape(-1, 3)
    nearest = np.linalg.norm(found[:, None] - corners[None], axis=2)
    assert nearest.min(1).max() < 1e-9
    assert (np.bincount(nearest.argmin(1), minlength=8) == 3).all(), "three edges meet at every corner"


def test_every_array_begins_with_a_deletion_and_ends_by_itself():
    deletion, *others = markers(filled=True)
    assert deletion.action == Marker.DELETEALL
    assert [m.type for m in others] == [Marker.LINE_LIST, Marker.TEXT_VIEW_FACING, Marker.CUBE]
    assert {(m.action, m.id, m.header.frame_id) for m in others} == {(Marker.ADD, 7, "camera_7")}
    assert all((m.lifetime.sec, m.lifetime.nanosec) == (2, 500_000_000) for m in others)
    assert len({m.ns for m in others}) == 3, "markers of one namespace and id replace each other"
    assert object_markers(HEADER, {}, {}, {}, 2.0).markers[0].action == Marker.DELETEALL


def test_text_above_the_box_has_id_name_and_score():
    text = markers()[2]
    assert text.text == "7 cup 0.87" and text.scale.z > 0
    corners = in_space(markers()[1])
    assert text.pose.position.y < corners[:, 1].min(), "y points down"
    assert object_markers(HEADER, {7: BOX}, {7: 0.5}, {7: ""}, 2.0).markers[2].text == "7 object 0.50"


def test_colours_are_those_of_the_overlay():
    labels = np.full((4, 4), 7, np.uint16)
    painted = draw_label_map(np.zeros((4, 4, 3), np.uint8), labels, alpha=1.0)[2, 2]
    for marker in markers(filled=True)[1:]:
        np.testing.assert_allclose(
            [marker.color.r * 255, marker.color.g * 255, marker.color.b * 255], painted, atol=1e-4
        )


def test_faces_are_on_request_and_thin_boxes_still_have_them():
    assert Marker.CUBE not in {m.type for m in markers()}
    flat = Box3D(BOX.centre, AXES, np.array([0.6, 0.3, 0.0]))
    cube = object_markers(HEADER, {7: flat}, {7: 0.9}, {}, 2.0, filled=True).markers[3]
    assert cube.scale.z > 0 and 0 < cube.color.a < 1


@pytest.mark.parametrize(("interval", "expected"), [(0.03, MIN_LIFETIME), (1.0, 5.0), (3600.0, MAX_LIFETIME)])
def test_lifetime_is_some_frames(interval, expected):
    lifetime = MarkerLifetime()
    assert lifetime.next(100.0) == MIN_LIFETIME
    assert [lifetime.next(100.0 + n * interval) for n in range(1, 6)][-1] == pytest.approx(expected)
