# SPDX-License-Identifier: Apache-2.0
"""Covering points against the definition: no place is farther from everything than the next one chosen."""

import numpy as np
import pytest

from evitsam_ros.segment import Prompt
from evitsam_ros.segment.proposals import PER_SIDE, covering_points


def at(*points: tuple[float, float]) -> list[Prompt]:
    return [Prompt(points=[point], labels=[1]) for point in points]


def test_the_first_point_is_in_the_empty_corner():
    (found,) = covering_points(at((10, 10)), (100, 200), 1)
    np.testing.assert_allclose(found.points, [[200 - 5, 100 - 2.5]])
    assert found.labels.tolist() == [1] and found.box is None and found.extent is None


@pytest.mark.parametrize("size", [(120, 160), (333, 77)])
def test_every_place_is_nearer_to_some_point_than_the_last_one_was(size):
    rng = np.random.default_rng(3)
    known = at(*(rng.uniform(0, 1, (30, 2)) * size[::-1]))
    found = covering_points(known, size, 12)
    points = np.concatenate([prompt.points for prompt in (*known, *found)])
    gaps = [np.linalg.norm(points[:k] - points[k], axis=1).min() for k in range(30, 42)]
    assert gaps == sorted(gaps, reverse=True)
    ys, xs = ((np.arange(PER_SIDE) + 0.5) / PER_SIDE * side for side in size)
    for y in ys:
        for x in xs:
            assert np.linalg.norm(points - (x, y), axis=1).min() <= gaps[-1] + 1e-3


def test_a_box_counts_by_its_centre_and_no_known_prompts_make_a_grid():
    boxed = covering_points([Prompt(box=(0, 0, 20, 20))], (100, 200), 5)
    clicked = covering_points(at((10, 10)), (100, 200), 5)
    assert all((a.points == b.points).all() for a, b in zip(boxed, clicked, strict=True))
    assert len(covering_points([], (100, 100), 10)) == 9
    assert covering_points(at((1, 1)), (100, 100), 0) == []
