# SPDX-License-Identifier: Apache-2.0
"""Tiles give the logits of the whole image, away from their borders; the whole image by the same network."""

import cv2
import numpy as np
import pytest

from evitsam_ros.dense import SemanticSegmenter
from evitsam_ros.dense.tiled_logits import tiled_logits

from ..nodes.colour_classes import write_colour_classes

TILE, STRIDE = (64, 96), 8


def local(image: np.ndarray) -> np.ndarray:
    """Answer as a network that looks one cell around, and sees black beyond its input."""
    cells = image.astype(np.float32).reshape(image.shape[0] // 8, 8, image.shape[1] // 8, 8, 3).mean((1, 3))
    around = cv2.blur(cells, (3, 3), borderType=cv2.BORDER_CONSTANT)
    return np.moveaxis(around, -1, 0)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (200, 312, 3), dtype=np.uint8)


def test_cells_away_from_the_borders_of_tiles_are_those_of_the_whole_image(noise):
    sizes = []

    def run(part: np.ndarray) -> np.ndarray:
        sizes.append(part.shape[:2])
        return local(part)

    found, whole = tiled_logits(noise, TILE, STRIDE, run), local(noise)
    assert found.shape == whole.shape and set(sizes) == {TILE}
    rows, cols = ([0, 6, 12, 17], [0, 8, 16, 24, 27])  # tiles of 8 x 12 cells in 25 x 39
    assert len(sizes) == len(rows) * len(cols)
    inner = np.ones(whole.shape[1:], bool)
    for starts, length, axis in ((rows, 8, 0), (cols, 12, 1)):
        for border in [*starts[1:], *(start + length - 1 for start in starts[:-1])]:
            inner[(border, slice(None)) if axis == 0 else (slice(None), border)] = False
    np.testing.assert_allclose(found[:, inner], whole[:, inner], rtol=1e-5)
    # Beside a border the other tile counts more, so the error is less than half of the one without blending.
    cut = np.abs(local(noise[: TILE[0], : TILE[1]]) - whole[:, :8, :12])[:, 1:6, -1]
    assert np.abs(found - whole)[:, 1:6, 11].mean() < 0.5 * cut.mean()


@pytest.mark.parametrize("size", [(64, 97), (30, 400), (131, 20), (1000, 96)])
def test_weights_add_up_whatever_the_size(size):
    image = np.zeros((*size, 3), np.uint8)
    found = tiled_logits(image, TILE, STRIDE, lambda part: np.full((2, *_cells(part)), 7.0, np.float32))
    assert found.shape == (2, max(1, round(size[0] / 8)), max(1, round(size[1] / 8)))
    np.testing.assert_allclose(found, 7.0, rtol=1e-6)


def _cells(part: np.ndarray) -> tuple[int, int]:
    assert not any(side % STRIDE for side in part.shape[:2])
    return part.shape[0] // STRIDE, part.shape[1] // STRIDE


def test_a_large_image_in_tiles_has_the_labels_of_a_network_for_whole_images(tmp_path, noise):
    """A network without surroundings: its label maps are equal everywhere."""
    image = cv2.resize(noise[:5, :8], (192, 128), interpolation=cv2.INTER_CUBIC)
    small, large = (
        SemanticSegmenter.open(write_colour_classes(tmp_path / str(size[0]), size=size), "onnxruntime", 1)
        for size in (TILE, (128, 192))
    )
    whole = large.segment(image, with_confidence=True)
    tiled = small.segment(image, with_confidence=True, tiles=True)
    scaled = small.segment(image)
    assert (tiled.labels != whole.labels).mean() < 1e-3 < (scaled.labels != whole.labels).mean()
    np.testing.assert_allclose(tiled.confidence, whole.confidence, atol=1e-3)
    assert {"preprocess", "network", "label_map"} <= set(tiled.timings)
    assert small.segment(image, full_size=False, tiles=True).labels.shape == (16, 24)


def test_an_image_that_fits_is_not_tiled(tmp_path, noise):
    segmenter = SemanticSegmenter.open(write_colour_classes(tmp_path / "colours"), "onnxruntime", 1)
    image = np.ascontiguousarray(noise[:50, :90])
    np.testing.assert_array_equal(segmenter.logits(image, tiles=True), segmenter.logits(image))
