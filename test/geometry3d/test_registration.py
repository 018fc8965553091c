# SPDX-License-Identifier: Apache-2.0
"""Depth moved into another camera against planes and spheres that both cameras see, traced ray by ray."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evitsam_ros.geometry3d import CalibrationError, CameraModel, registered


def camera(size: tuple[int, int], focal: float, d=(), model: str = "plumb_bob") -> CameraModel:
    k = (focal, 0, (size[1] - 1) / 2, 0, focal, (size[0] - 1) / 2, 0, 0, 1)
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    return CameraModel.from_info(
        SimpleNamespace(
            **{"k": k, "p": (), "d": d, "distortion_model": model, "height": size[0], "width": size[1]},
            **{"binning_x": 0, "binning_y": 0, "roi": roi},
        )
    )


def plane_depth(seen_by: CameraModel, normal: np.ndarray, offset: float) -> np.ndarray:
    """z at every pixel of the plane ``normal @ point == offset``; NaN without a ray."""
    rays = np.dstack([seen_by.rays, np.ones(seen_by.size)])
    z = offset / (rays @ normal)
    return np.where(z > 0, z, np.nan)


@pytest.mark.parametrize("seed", range(8))
def test_a_tilted_wall(seed):
    """Random sizes, focal lengths, poses and lenses; the image finer or coarser than the depth."""
    rng = np.random.default_rng(seed)
    depth_camera = camera((96, 128), rng.uniform(70, 110))
    size = tuple(rng.integers(60, 260, 2).tolist())
    d = rng.uniform(-0.1, 0.02, 5) * (1, 0.3, 0.01, 0.01, 0) if seed % 2 else ()
    image_camera = camera(size, rng.uniform(0.7, 1.1) * max(size), d)
    to_image = np.eye(4)
    to_image[:3, :3] = Rotation.from_rotvec(rng.uniform(-0.08, 0.08, 3)).as_matrix()
    to_image[:3, 3] = rng.uniform(-0.06, 0.06, 3)
    normal = np.array([*rng.uniform(-0.3, 0.3, 2), 1.0])
    wall = plane_depth(image_camera, normal, 2.0)
    # The same plane in the depth camera's frame.
    turned = to_image[:3, :3].T @ normal
    depths = plane_depth(depth_camera, turned, 2.0 - normal @ to_image[:3, 3])
    found = registered(depths.astype(np.float32), depth_camera, to_image, image_camera)
    assert found.shape == size and found.dtype == np.float32
    both = np.isfinite(found)
    # A measurement may lie a pixel of the coarser camera beside: the slope's part of the depth.
    np.testing.assert_allclose(found[both], wall[both], rtol=0.02)
    np.testing.assert_allclose(np.median(found[both] / wall[both]), 1, atol=1e-3)
    # All that the depth camera sees, well inside of its image, is filled, without a hole.
    points = np.dstack([image_camera.rays, np.ones(size)]) * wall[..., None]
    moved = (points.reshape(-1, 3) - to_image[:3, 3]) @ to_image[:3, :3]
    pixels = depth_camera.project(moved).reshape(*size, 2)
    visible = ((pixels > 1) & (pixels < (126, 94))).all(-1)
    print(f"{both[visible].mean():.4f} of what is visible is filled")
    assert visible.mean() > 0.2 and both[visible].all()
    hidden = ((pixels < -2) | (pixels > (129, 97))).any(-1)
    assert not both[hidden].any()


def test_nearer_points_occlude_farther_ones():
    """A board half a metre away before a wall at three, seen from beside: the wall does not shine through."""
    depth_camera, image_camera = camera((120, 160), 120.0), camera((240, 320), 240.0)
    depths = np.full((120, 160), 3.0, np.float32)
    depths[40:80, 60:100] = 0.5
    to_image = np.eye(4)
    to_image[0, 3] = -0.05
    found = registered(depths, depth_camera, to_image, image_camera)
    # The board moves by 0.05 / 0.5 * 240 = 24 pixels, the wall by 4; the board's side hides the wall's part.
    board = found < 1
    rows, columns = np.nonzero(board)
    assert (rows.min(), rows.max()) == (80, 159)
    assert abs(columns.min() - (120 - 24)) <= 1 and abs(columns.max() - (199 - 24)) <= 1
    assert board[81:159, 98:174].all()
    assert np.isnan(found[100, 178:194]).all()  # neither camera's depth tells what is in the board's shadow


def test_points_behind_the_camera_and_unknown_depths_are_empty():
    seen_by = camera((20, 30), 30.0)
    depths = np.full((20, 30), np.nan, np.float32)
    depths[3, 4] = 0.2
    back = np.diag([-1.0, 1, -1, 1])
    assert np.isnan(registered(depths, seen_by, back, seen_by)).all()
    same = registered(depths, seen_by, np.eye(4), seen_by)
    np.testing.assert_array_equal(same, depths)
    with pytest.raises(CalibrationError, match="describes 30x20 pixels, the image has 15x10"):
        registered(depths[::2, ::2], seen_by, np.eye(4), seen_by)
