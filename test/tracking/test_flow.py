# SPDX-License-Identifier: Apache-2.0
"""Flow of a photograph that was moved by a known matrix."""

import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from evitsam_ros.segment.transform import Transform
from evitsam_ros.tracking.flow import FlowEstimator


def moved(
    image: np.ndarray, turn: float, grow: float, shift: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The image under a similarity, and the matrix in pixels whose centres are at +0.5."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, grow)
    matrix[:, 2] += shift
    centres = matrix.copy()
    centres[:, 2] += 0.5 - matrix[:, :2] @ [0.5, 0.5]
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), centres


@pytest.mark.parametrize("size", [(512, 512), (360, 640), (960, 540)])
@pytest.mark.parametrize("motion", [(0, 1, (20, -12)), (4, 1.06, (-10, 6)), (-3, 0.95, (0, 15))])
def test_cells_are_warped_by_the_matrix(photograph, size, motion):
    image = cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_AREA)
    transform = Transform(size, 640, 640, (160, 160))
    other, matrix = moved(image, *motion)
    estimator = FlowEstimator()
    assert estimator.update(image, transform) is None
    flow = estimator.update(other, transform)
    rows, columns = transform.visible_cells
    assert flow.cells.shape == (rows, columns, 2)
    scale = transform.pixels_per_cell
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    pixels = (np.stack([x, y], axis=-1) + 0.5) * scale
    back = cv2.invertAffineTransform(matrix)
    expected = (pixels @ back[:, :2].T + back[:, 2]) / scale - 0.5
    inside = (expected >= 1).all(-1) & (expected < (columns - 1, rows - 1)).all(-1)
    error = np.linalg.norm(flow.cells - expected, axis=-1)[inside]
    assert np.median(error) < 0.6 and (error < 2).mean() > 0.85


def test_masks_move_and_a_similarity_is_found(photograph):
    transform = Transform((512, 512), 640, 640, (160, 160))
    other, matrix = moved(photograph, 3, 1.05, (16, -10))
    estimator = FlowEstimator()
    estimator.update(photograph, transform)
    flow = estimator.update(other, transform)
    mask = np.zeros((160, 160), np.uint8)
    cv2.circle(mask, (70, 40), 25, 1, -1)
    full = cv2.resize(mask, (512, 512), interpolation=cv2.INTER_NEAREST)
    moved_full = cv2.warpAffine(full, matrix, (512, 512), flags=cv2.INTER_NEAREST)
    expected = cv2.resize(moved_full, (160, 160), interpolation=cv2.INTER_AREA) > 0
    found = flow.warp_masks(mask[None] > 0)[0]
    assert (found & expected).sum() / (found | expected).sum() > 0.9
    fitted = flow.similarity(found)
    np.testing.assert_allclose(fitted[:, :2], matrix[:, :2], atol=0.02)


def test_another_size_resets_the_flow_and_tiny_images_have_none(photograph):
    estimator = FlowEstimator()
    small = cv2.resize(photograph, (40, 30))
    assert estimator.update(photograph, Transform((512, 512), 640, 640, (160, 160))) is None
    assert estimator.update(small, Transform((30, 40), 640, 640, (160, 160))) is None
    dot = Transform((4, 6), 640, 640, (160, 160))
    assert estimator.update(small[:4, :6], dot) is None
    flow = estimator.update(small[8:12, :6], dot)
    x, y = np.meshgrid(np.arange(flow.cells.shape[1]), np.arange(flow.cells.shape[0]))
    np.testing.assert_allclose(flow.cells, np.stack([x, y], axis=-1), atol=1e-4)


STRIPS = """
    import numpy as np
    from evitsam_ros.segment.transform import Transform
    from evitsam_ros.tracking.flow import FlowEstimator

    noise = np.random.default_rng(0)
    for height in (1, 5, 12, 13, 24, 31, 32, 40):
        for width in (1, 12, 40, 97, 128, 320, 3000):
            estimator, transform = FlowEstimator(), Transform((height, width), 640, 640, (160, 160))
            for _ in range(8):
                picture = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
                flow = estimator.update(picture, transform)
            assert flow.cells.shape[:2] == transform.visible_cells and np.isfinite(flow.cells).all()
"""


def test_narrow_images_do_not_raise():
    """In a process of its own: OpenCV's flow ends it for images with few rows."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(STRIPS)], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.returncode}\n{done.stderr}"
