# SPDX-License-Identifier: Apache-2.0
"""Measures of two masks against scipy's morphology and distances on whole images, and closed forms."""

import numpy as np
import pytest
from scipy import ndimage

from training.evaluation.mask_metrics import (
    boundary_iou,
    boundary_width,
    mask_boundary,
    mask_iou,
    next_click,
    size_group,
)

from ..masks import rectangle


def blobs(rng: np.random.Generator, size: tuple[int, int], coarseness: float) -> np.ndarray:
    """Random regions that often touch the image's border, and sometimes fill it or are empty."""
    noise = ndimage.gaussian_filter(rng.standard_normal(size), coarseness)
    return noise > np.quantile(noise, rng.choice([0.05, 0.5, 0.9, 0.99]))


def random_pairs(seed: int, count: int = 60):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        size = tuple(int(n) for n in rng.integers(1, 260, 2))
        a, b = (blobs(rng, size, rng.uniform(0, 12)) for _ in range(2))
        if rng.random() < 0.3:  # alike but for a shift, as a prediction is
            b = np.roll(a, rng.integers(-3, 4, 2), (0, 1))
        yield a, b


def test_iou_of_shifted_rectangles():
    assert mask_iou(rectangle(10, 10, 30, 30), rectangle(20, 10, 40, 30)) == pytest.approx(1 / 3)
    assert mask_iou(rectangle(0, 0, 0, 0), rectangle(0, 0, 0, 0)) == 1.0


@pytest.mark.parametrize(
    ("area", "group"), [(1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")]
)
def test_size_groups_are_cocos(area, group):
    assert size_group(area) == group


@pytest.mark.parametrize(
    ("size", "width"), [((480, 640), 16), ((640, 480), 16), ((427, 640), 15), ((1080, 1920), 44), ((5, 7), 1)]
)
def test_boundaries_are_two_percent_of_the_diagonal_wide(size, width):
    assert boundary_width(size) == width


def eroded_boundary(mask: np.ndarray) -> np.ndarray:
    """By scipy, on the whole image, one pixel after another."""
    width = max(1, round(0.02 * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))
    kept = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width, border_value=0)
    return mask & ~kept


def test_boundary_iou_equals_that_of_eroded_full_images():
    touching = 0
    for a, b in random_pairs(seed=0):
        one, other = eroded_boundary(a), eroded_boundary(b)
        union = np.count_nonzero(one | other)
        expected = np.count_nonzero(one & other) / union if union else 1.0
        assert boundary_iou(a, b) == expected
        assert boundary_iou(b, a) == expected
        frame = np.ones_like(a)
        frame[1:-1, 1:-1] = False
        touching += bool((a & frame).any())
    assert touching > 20


def test_boundaries_are_the_pixels_near_the_background():
    """The chessboard distance to the background, which begins outside the image."""
    for a, _ in random_pairs(seed=1):
        for width in (1, 3, 11):
            distance = ndimage.distance_transform_cdt(np.pad(a, 1), "chessboard")[1:-1, 1:-1]
            np.testing.assert_array_equal(mask_boundary(a, width), a & (distance <= width))


def test_boundary_iou_of_rectangles_by_hand():
    size = (300, 400)  # boundaries are ten pixels wide
    outer, inner = rectangle(100, 50, 300, 250, size), rectangle(105, 55, 295, 245, size)
    rings = 200**2 - 180**2, 190**2 - 170**2
    shared = 190**2 - 180**2
    assert boundary_iou(outer, inner) == pytest.approx(shared / (sum(rings) - shared))
    assert mask_iou(outer, inner) == pytest.approx(190**2 / 200**2)
    # The image's border is a contour, too.
    everything = np.ones(size, bool)
    half = rectangle(0, 0, 200, 300, size)
    shared = 200 * 300 - 190 * 280
    rings = 400 * 300 - 380 * 280, 200 * 300 - 180 * 280
    assert boundary_iou(everything, half) == pytest.approx(shared / (sum(rings) - shared))


def test_boundary_iou_of_masks_that_are_thin_apart_or_empty():
    empty, thin = rectangle(0, 0, 0, 0), rectangle(10, 10, 40, 11)
    assert boundary_iou(empty, empty) == 1.0
    assert boundary_iou(empty, thin) == 0.0
    assert boundary_iou(thin, rectangle(20, 10, 40, 11)) == mask_iou(thin, rectangle(20, 10, 40, 11))
    assert boundary_iou(thin, rectangle(60, 40, 70, 50)) == 0.0


@pytest.mark.parametrize("radius", [40, 90, 130])
def test_a_smaller_disc_has_the_iou_of_rings(radius):
    """Eroding a disc by a square leaves the points whose farthest corner of the square is in it."""
    ys, xs = np.mgrid[:480, :640] - np.array([240, 320])[:, None, None]
    width = 16

    def ring(r):
        reach = np.hypot(np.abs(xs) + width, np.abs(ys) + width) <= r
        return (np.hypot(xs, ys) <= r) & ~reach

    a, b = np.hypot(xs, ys) <= radius, np.hypot(xs, ys) <= radius - 6
    assert boundary_iou(a, b) == mask_iou(ring(radius), ring(radius - 6))


def slow_click(truth: np.ndarray, prediction: np.ndarray, clicked) -> tuple[float, int, np.ndarray]:
    """RITM's rule by scipy on whole images: squared depth, label and which pixels are as deep."""
    depths = []
    for region in (truth & ~prediction, prediction & ~truth):
        depth = np.round(ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1] ** 2)
        for column, row in clicked:
            depth[int(row), int(column)] = 0
        depths.append(depth)
    label = int(depths[0].max() > depths[1].max())
    chosen = depths[1 - label]
    return float(chosen.max()), label, chosen == chosen.max()


def test_clicks_are_in_the_middle_of_the_larger_of_two_error_regions():
    labels = []
    for truth, prediction in random_pairs(seed=2):
        clicked: list[tuple[float, float]] = []
        for _ in range(3):
            depth, label, deepest = slow_click(truth, prediction, clicked)
            click = next_click(truth, prediction, clicked)
            if depth == 0:
                assert click is None
                break
            (x, y), chosen = click
            assert chosen == label and (y, x) == tuple(np.argwhere(deepest)[0])
            clicked.append((x, y))
            labels.append(label)
    assert 20 < sum(labels) < len(labels) - 20


def test_of_equally_deep_pixels_the_first_is_clicked():
    """Slim shapes have many of them, and float32 distances of these differ in the last bit."""
    rng = np.random.default_rng(3)
    ys, xs = np.mgrid[:320, :400]
    several = 0
    for _ in range(80):
        half, angle = rng.uniform(4, 90, 2), rng.uniform(0, np.pi)
        along = (xs - 200) * np.cos(angle) + (ys - 160) * np.sin(angle)
        across = (ys - 160) * np.cos(angle) - (xs - 200) * np.sin(angle)
        truth = (np.abs(along) < half[0]) & (np.abs(across) < half[1])
        empty = np.zeros_like(truth)
        _, label, deepest = slow_click(truth, empty, [])
        y, x = np.argwhere(deepest)[0]
        assert next_click(truth, empty) == ((float(x), float(y)), label)
        several += deepest.sum() > 1
    assert several > 20


def test_missed_and_excess_pixels_are_apart():
    """Side by side they would be one region whose middle is where they touch."""
    truth, prediction = rectangle(10, 10, 30, 30), rectangle(30, 10, 52, 30)
    (x, y), label = next_click(truth, prediction)
    assert label == 0 and 38 <= x <= 43 and 18 <= y <= 21
    (x, y), label = next_click(truth, rectangle(30, 12, 45, 28))
    assert label == 1 and 18 <= x <= 21 and 18 <= y <= 21


def test_first_click_is_the_middle_and_equal_errors_get_a_background_click():
    truth, empty = rectangle(10, 10, 41, 31), rectangle(0, 0, 0, 0)
    (x, y), label = next_click(truth, empty)
    assert label == 1 and y == 20 and 20 <= x <= 30
    assert next_click(rectangle(5, 5, 16, 16), rectangle(30, 5, 41, 16)) == ((35.0, 10.0), 0)


def test_no_pixel_is_clicked_twice_and_the_last_ones_end_it():
    truth, empty = rectangle(10, 10, 12, 11), rectangle(0, 0, 0, 0)
    assert next_click(truth, empty) == ((10.0, 10.0), 1)
    assert next_click(truth, empty, [(10.0, 10.0)]) == ((11.0, 10.0), 1)
    assert next_click(truth, empty, [(10.0, 10.0), (11.0, 10.0)]) is None
    assert next_click(truth, truth) is None
