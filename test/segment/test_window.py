# SPDX-License-Identifier: Apache-2.0
"""Windows: where they lie, and logits between window and image, against planes, which bilinear keeps."""

import numpy as np
import pytest

from evitsam_ros.segment import Prompt
from evitsam_ros.segment.transform import Transform
from evitsam_ros.segment.window import SMALLEST, Window


def geometry(size: tuple[int, int]) -> Transform:
    return Transform(size, 640, 640, (160, 160))


def plane(transform: Transform, origin: tuple[int, int] = (0, 0)) -> np.ndarray:
    """``(h, w)`` of 0.3 x - 0.2 y + 5 at the centres of the cells, x and y in pixels of the whole image."""
    x, y = ((np.arange(160) + 0.5) * step for step in transform.pixels_per_cell)
    return (0.3 * (x[None] + origin[0]) - 0.2 * (y[:, None] + origin[1]) + 5).astype(np.float32)


@pytest.mark.parametrize(
    ("extent", "expected"),
    [
        ((300, 200, 340, 220), (280, 170, 360, 250)),  # twice the longer side, around the centre
        ((0, 0, 50, 20), (0, 0, 100, 100)),  # moved into the image
        ((600, 440, 640, 480), (560, 400, 640, 480)),
        ((100, 10, 500, 470), (0, 0, 640, 480)),  # cut to the image
        ((320, 240, 322, 241), (289, 208, 353, 272)),  # no smaller than there is something to see
    ],
)
def test_a_window_is_a_square_around_the_object_within_the_image(extent, expected):
    window = Window.around(np.array(extent, np.float32), (480, 640))
    assert (window.x0, window.y0, window.x1, window.y1) == expected
    assert min(window.size) >= SMALLEST


@pytest.mark.parametrize("size", [(480, 640), (301, 177), (1080, 1920)])
def test_random_windows_lie_in_the_image_and_hold_the_object(size):
    rng = np.random.default_rng(0)
    limits = np.array(size[::-1])
    for _ in range(200):
        low = rng.uniform(0, limits - 1)
        extent = np.concatenate([low, rng.uniform(low + 0.5, limits)]).astype(np.float32)
        window = Window.around(extent, size)
        assert window.x0 >= 0 and window.y0 >= 0 and window.x1 <= size[1] and window.y1 <= size[0]
        assert (window.origin <= extent[:2]).all()
        assert (extent[2:] <= window.origin + window.size[::-1]).all()


def test_a_prompt_is_moved_and_points_outside_are_dropped():
    prompt = Prompt(
        points=np.array([(120, 90), (10, 10), (150, 110)], np.float32),
        labels=np.array([1, 0, 0], np.float32),
        mask=np.zeros((160, 160), np.float32),
        object_id=7,
    )
    moved = Window(100, 80, 200, 180).shift(prompt, np.array([90, 85, 160, 120], np.float32))
    np.testing.assert_array_equal(moved.points, [(20, 10), (50, 30)])
    np.testing.assert_array_equal(moved.labels, [1, 0])
    np.testing.assert_array_equal(moved.box, [0, 5, 60, 40])
    assert moved.mask is None and moved.object_id == 7


@pytest.mark.parametrize(
    "window", [Window(100, 80, 228, 208), Window(3, 5, 301, 303), Window(512, 352, 640, 480)]
)
def test_logits_of_a_window_are_placed_exactly(window):
    complete, inner = geometry((480, 640)), geometry(window.size)
    before = np.full((160, 160), 7, np.float32)
    placed = window.place_into(before, plane(inner, (window.x0, window.y0)), inner, complete)
    x, y = ((np.arange(160) + 0.5) * step for step in complete.pixels_per_cell)
    columns, rows = (x >= window.x0) & (x < window.x1), (y >= window.y0) & (y < window.y1)
    covered = rows[:, None] & columns[None]
    assert (placed[~covered] == -7).all()
    # The outermost cells of a window repeat beyond their centres.
    step = complete.pixels_per_cell[0]
    deep = (y > window.y0 + step) & (y < window.y1 - step)
    deep = deep[:, None] & ((x > window.x0 + step) & (x < window.x1 - step))[None]
    assert deep.sum() > 400
    np.testing.assert_allclose(placed[deep], plane(complete)[deep], atol=2e-3)


def test_logits_of_the_image_are_seen_in_a_window_exactly():
    window, complete = Window(100, 80, 228, 208), geometry((480, 640))
    inner = geometry(window.size)
    seen = window.view_of(plane(complete), inner, complete)
    np.testing.assert_allclose(seen, plane(inner, (100, 80)), atol=2e-3)


@pytest.mark.parametrize("size", [(480, 640), (512, 512), (301, 177)])
def test_a_window_of_the_full_image_changes_no_logits(size):
    complete = geometry(size)
    window = Window(0, 0, size[1], size[0])
    logits = np.random.default_rng(0).standard_normal((160, 160)).astype(np.float32)
    rows, columns = complete.visible_cells
    placed = window.place_into(np.zeros_like(logits), logits, complete, complete)
    seen = window.view_of(logits, complete, complete)
    full_rows, full_columns = (int(cells + 0.5) for cells in complete.image_cells)
    np.testing.assert_allclose(
        placed[:full_rows, :full_columns], logits[:full_rows, :full_columns], atol=1e-5
    )
    np.testing.assert_allclose(seen, logits[:rows, :columns], atol=1e-5)
