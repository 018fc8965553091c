# SPDX-License-Identifier: Apache-2.0
"""Frames against closed forms and against matrices multiplied by hand."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evitsam_ros.geometry3d import TransformError, TransformTree
from evitsam_ros.geometry3d.transform_tree import MAX_FRAMES

NO_TURN = np.array([0.0, 0, 0, 1])


def about_z(degrees: float) -> np.ndarray:
    half = math.radians(degrees) / 2
    return np.array([0, 0, math.sin(half), math.cos(half)])


def random_pose(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, quaternion and their matrix."""
    turn, moved = Rotation.random(random_state=rng), rng.normal(size=3)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn.as_matrix(), moved
    return moved, turn.as_quat(), matrix


def test_a_quarter_turn_and_a_step():
    tree = TransformTree()
    tree.add("map", "camera", 1.0, np.array([2.0, 0, 0]), about_z(90))
    np.testing.assert_allclose(tree.lookup("map", "camera") @ [1, 0, 0, 1], [2, 1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(tree.lookup("camera", "map") @ [2, 1, 0, 1], [1, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_two_branches_of_a_robot(seed):
    """map > odom > base > camera and base > arm > tool, against the product of the matrices."""
    rng, tree = np.random.default_rng(seed), TransformTree()
    matrices = {}
    for parent, child in (
        ("map", "odom"),
        ("odom", "base"),
        ("base", "camera"),
        ("base", "arm"),
        ("arm", "tool"),
    ):
        moved, turned, matrices[child] = random_pose(rng)
        tree.add(parent, "/" + child, 0.0, moved, turned, static=child != "base")
    expected = np.linalg.inv(matrices["camera"]) @ matrices["arm"] @ matrices["tool"]
    np.testing.assert_allclose(tree.lookup("camera", "tool"), expected, atol=1e-12)
    complete = matrices["odom"] @ matrices["base"] @ matrices["camera"]
    np.testing.assert_allclose(tree.lookup("map", "camera", 0.0), complete, atol=1e-12)
    np.testing.assert_allclose(tree.lookup("tool", "tool"), np.eye(4), atol=1e-12)


def test_between_two_times_it_is_between_two_poses():
    tree = TransformTree()
    for time in range(4):
        tree.add("odom", "base", float(time), np.array([4.0 * time, 0, 0]), about_z(60 * time))
    found = tree.lookup("odom", "base", 1.25)
    np.testing.assert_allclose(found[:3, 3], [5, 0, 0], atol=1e-12)
    assert math.degrees(math.atan2(found[1, 0], found[0, 0])) == pytest.approx(75)
    with pytest.raises(TransformError, match=r"known from 0\.000 to 3\.000 s, not at 3\.500 s"):
        tree.lookup("odom", "base", 3.5)
    np.testing.assert_allclose(tree.lookup("odom", "base")[:3, 3], [12, 0, 0])


def test_a_message_out_of_order():
    tree = TransformTree()
    for time in (100.0, 102.0, 101.0, 103.0, 102.5):
        tree.add("odom", "base", time, np.array([time, 0, 0]), NO_TURN)
    assert tree.lookup("odom", "base", 101.5)[0, 3] == pytest.approx(101.5)
    assert tree.lookup("odom", "base")[0, 3] == pytest.approx(103)


@pytest.mark.parametrize("ran", [0.4, 1.5, 3.0, 9.0, 60.0])
def test_two_runs_of_a_simulation_are_not_mixed(ran):
    """Time is set back by ``ran`` seconds; in the first run all lay 1000 m away."""
    tree = TransformTree()
    tree.add("base", "camera", 0.0, np.array([0.1, 0, 0]), NO_TURN, static=True)
    for time in np.arange(0, ran, 0.02):
        for parent, child in (("map", "odom"), ("odom", "base")):
            tree.add(parent, child, float(time), np.array([1000.0, 0, 0]), NO_TURN)
    for time in (0.0, 0.02, 0.04):
        tree.add("odom", "base", time, np.array([time, 0, 0]), NO_TURN)
    for now in (0.03, None):
        assert tree.lookup("odom", "camera", now)[0, 3] == pytest.approx(0.1 + (now or 0.04))
        with pytest.raises(TransformError, match="no transform from 'base' to 'map'"):
            tree.lookup("map", "base", now)
    for time in (0.04, 0.06):
        tree.add("map", "odom", time, np.array([5.0, 0, 0]), NO_TURN)
        tree.add("odom", "base", time + 0.02, np.array([time, 0, 0]), NO_TURN)
    assert tree.lookup("map", "base")[0, 3] == pytest.approx(5.06)


def test_two_senders_of_one_frame_with_clocks_apart():
    tree = TransformTree()
    for step in range(100):
        tree.add("odom", "base", step * 0.1, np.array([step, 0, 0]), NO_TURN)
        tree.add("odom", "base", step * 0.1 - 0.5, np.array([step - 5.0, 0, 0]), NO_TURN)
    assert tree.lookup("odom", "base", 5.05)[0, 3] == pytest.approx(50.5)


def test_clear_keeps_static_frames():
    tree = TransformTree()
    tree.add("base", "camera", 0.0, np.array([0.1, 0, 0]), NO_TURN, static=True)
    tree.add("odom", "base", 1.0, np.zeros(3), NO_TURN)
    tree.clear()
    assert tree.frames() == {"base", "camera"}


def test_history_is_bounded():
    tree = TransformTree()
    for time in np.arange(0, 100, 0.1):
        tree.add("odom", "base", float(time), np.zeros(3), NO_TURN)
    with pytest.raises(TransformError, match="known from 8"):
        tree.lookup("odom", "base", 50.0)


@pytest.mark.parametrize(
    ("parent", "child", "moved", "turned", "text"),
    [
        ("a", "a", [0, 0, 0], NO_TURN, "expected two names"),
        ("a", "", [0, 0, 0], NO_TURN, "expected two names"),
        ("a", "b", [0, math.nan, 0], NO_TURN, "expected a pose"),
        ("a", "b", [0, 0, 0], [0, 0, 0, 0], "expected a pose"),
    ],
)
def test_invalid_transforms_are_rejected(parent, child, moved, turned, text):
    with pytest.raises(TransformError, match=text):
        TransformTree().add(parent, child, 0.0, np.array(moved), np.array(turned))


def test_frames_that_are_not_connected_go_round_or_are_too_many():
    tree = TransformTree()
    tree.add("map", "base", 0.0, np.zeros(3), NO_TURN)
    with pytest.raises(TransformError, match="no transform from 'tool' to 'base'; frames known: base, map"):
        tree.lookup("base", "tool")
    tree.add("base", "map", 0.0, np.zeros(3), NO_TURN)
    with pytest.raises(TransformError, match="cycle"):
        tree.lookup("base", "tool")
    full = TransformTree()
    for index in range(MAX_FRAMES):
        full.add("map", f"frame {index}", 0.0, np.zeros(3), NO_TURN)
    with pytest.raises(TransformError, match="known already"):
        full.add("map", "one more", 0.0, np.zeros(3), NO_TURN)
