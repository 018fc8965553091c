# SPDX-License-Identifier: Apache-2.0
"""Points and boxes in space against closed forms, OpenCV, and a real stereo photograph with true depth."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from skimage import data

from evitsam_ros.geometry3d import (
    CalibrationError,
    CameraModel,
    DepthError,
    box_around,
    labelled_points,
    metres,
)

#: Of scikit-image's (Middlebury's) motorcycle: focal length and principal points in pixels, metres between.
FOCAL, LEFT, RIGHT, ROW, BASELINE = 994.978, 311.193, 342.279, 254.877, 0.193001


def info(k=(500.0, 0, 320, 0, 510.0, 240, 0, 0, 1), d=(), model="plumb_bob", size=(480, 640), **more):
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    fields = {"k": k, "d": d, "p": p, "distortion_model": model, "height": size[0], "width": size[1]}
    return SimpleNamespace(**{**fields, "binning_x": 0, "binning_y": 0, "roi": roi, **more})


def depth_message(values: np.ndarray, encoding: str, padding: int = 0, big: bool = False):
    kind = {"32FC1": "f4", "16UC1": "u2", "mono16": "u2"}[encoding]
    rows = values.astype((">" if big else "<") + kind)
    raw = np.zeros((rows.shape[0], rows.shape[1] * rows.itemsize + padding), np.uint8)
    raw[:, : rows.shape[1] * rows.itemsize] = rows.view(np.uint8)
    height, width = values.shape
    return SimpleNamespace(
        encoding=encoding,
        height=height,
        width=width,
        step=raw.shape[1],
        is_bigendian=int(big),
        data=raw.tobytes(),
    )


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("big", [False, True])
def test_units_are_those_of_the_encoding(padding, big):
    millimetres = np.array([[0, 1500], [65535, 1]])
    found = metres(depth_message(millimetres, "16UC1", padding, big))
    np.testing.assert_allclose(found, [[np.nan, 1.5], [65.535, 0.001]], rtol=1e-6)
    values = np.array([[0.0, 1.5], [np.inf, -1.0], [np.nan, 2.25]])
    found = metres(depth_message(values, "32FC1", padding, big))
    np.testing.assert_array_equal(found, [[np.nan, 1.5], [np.nan, np.nan], [np.nan, 2.25]])


def test_damaged_depths_are_named():
    good = depth_message(np.ones((4, 4)), "32FC1")
    for changes, text in (
        ({"encoding": "rgb8"}, "encoding is 'rgb8'; expected one of 32FC1"),
        ({"step": 3}, "step is 3; expected at least 16 for 4 pixels of 32FC1"),
        ({"data": good.data[:-1]}, "data has 63 bytes; expected 64"),
        ({"width": 0}, "depth: image is 0x4"),
    ):
        with pytest.raises(DepthError, match=text):
            metres(SimpleNamespace(**{**vars(good), **changes}))


COEFFICIENTS = {
    "plumb_bob": (-0.28, 0.09, 0.001, -0.0005, -0.012),
    "rational_polynomial": (0.3, 0.05, 0.0008, -0.0003, 0.01, 0.62, 0.1, 0.02),
    "equidistant": (-0.02, 0.004, -0.001, 0.0002),
}


@pytest.mark.parametrize("model", sorted(COEFFICIENTS))
def test_projection_inverts_unprojection(model):
    camera = CameraModel.from_info(info(d=COEFFICIENTS[model], model=model))
    rows, columns = np.mgrid[0:480:37, 0:640:41]
    rays = camera.rays[rows, columns].reshape(-1, 2)
    z = np.linspace(0.5, 9, len(rays))[:, None]
    points = np.hstack([rays * z, z])
    np.testing.assert_allclose(
        camera.project(points), np.stack([columns, rows], -1).reshape(-1, 2), atol=0.02
    )


def test_brown_conrady_by_its_formula():
    k1, k2, p1, p2, k3 = COEFFICIENTS["plumb_bob"]
    camera = CameraModel.from_info(info(d=COEFFICIENTS["plumb_bob"]))
    x, y = 0.21, -0.34
    r = x * x + y * y
    radial = 1 + k1 * r + k2 * r**2 + k3 * r**3
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x)
    v = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y
    expected = [[500 * u + 320, 510 * v + 240]]
    np.testing.assert_allclose(camera.project([[2 * x, 2 * y, 2.0]]), expected, atol=1e-9)


def test_empty_calibrations_are_rejected():
    with pytest.raises(CalibrationError, match=r"focal lengths 0\.0, 0\.0"):
        CameraModel.from_info(info(k=(0.0,) * 9))
    with pytest.raises(ValueError, match="behind"):
        CameraModel.from_info(info()).project([[0, 0, -1.0]])
    with pytest.raises(CalibrationError, match=r"coefficients \[nan, 0.0, 0.0, 0.0, 0.0\]; expected finite"):
        CameraModel.from_info(info(d=(np.nan, 0, 0, 0, 0)))
    for coefficients in ((-5.0, 0, 0, 0, 0), (1e308, 0, 0, 0, 0), (0, 0, 3.0, 0, 50.0)):
        with pytest.raises(CalibrationError, match="of the image without a ray; expected those of a lens"):
            CameraModel.from_info(info(d=coefficients))


def test_where_a_wide_lens_has_no_rays_there_are_no_points():
    """Barrel distortion that ends before the image's corners do."""
    wide = CameraModel.from_info(
        info((80.0, 0, 64, 0, 80.0, 48, 0, 0, 1), (-0.25, 0, 0, 0, 0), size=(96, 128))
    )
    depths, masks = np.full((96, 128), 2.0, np.float32), np.zeros((2, 96, 128), bool)
    left = np.s_[:60, :60]
    masks[0, :9, :9], masks[1][left] = True, True
    assert not np.isfinite(wide.rays[masks[0]]).any() and 0 < np.isfinite(wide.rays[left]).mean() < 1
    assert box_around(masks[0], depths, wide) is None
    assert np.isfinite(box_around(masks[1], depths, wide).size).all()


def test_points_of_a_fisheye_are_inside_its_field_of_view():
    """A lens of 163 degrees as the RealSense T265's, in an image wider than its circle, before a wall."""
    d, size = (-0.0066, 0.0447, -0.0415, 0.0070, 0.0), (400, 848)
    camera = CameraModel.from_info(
        info((143.0, 0, 424.0, 0, 143.0, 200.0, 0, 0, 1), d, "equidistant", size=size)
    )
    labels, depths = np.ones(size, np.uint16), np.full(size, 2.0, np.float32)
    image = np.zeros((*size, 3), np.uint8)
    cloud = labelled_points(depths, camera, image, labels, {1: 0.5})
    points = np.column_stack([cloud[name] for name in "xyz"])
    assert np.isfinite(points).all() and 0.3 < len(points) / labels.size < 0.9
    angle = np.arctan(np.hypot(points[:, 0], points[:, 1]) / points[:, 2])
    away = angle * np.polyval([d[3], 0, d[2], 0, d[1], 0, d[0], 0, 1], angle) * 143
    rows, columns = np.nonzero(camera.has_ray)
    np.testing.assert_allclose(away, np.hypot(columns - 424, rows - 200), atol=0.01)
    organised = labelled_points(depths, camera, image, labels, {1: 0.5}, organised=True)
    np.testing.assert_array_equal(np.isfinite(organised["x"]), camera.has_ray)
    box = box_around(labels > 0, depths, camera)
    assert np.isfinite(box.size).all() and box.size.max() < 2 * 2 * np.tan(np.radians(89))


def motorcycle():
    left, _, disparity = data.stereo_motorcycle()
    depths = FOCAL * BASELINE / (disparity + RIGHT - LEFT)
    depths[~np.isfinite(disparity)] = np.nan
    k = (FOCAL, 0, LEFT, 0, FOCAL, ROW, 0, 0, 1)
    camera = CameraModel.from_info(info(k=k, size=left.shape[:2]))
    return left, disparity, depths.astype(np.float32), camera


def test_points_of_a_real_stereo_pair_project_into_the_other_camera():
    """The other eye is an independent truth: it sees every point at the pixel less its disparity."""
    left, disparity, depths, camera = motorcycle()
    labels = np.zeros(depths.shape, np.uint16)
    labels[150:400, 200:600] = 7
    points = labelled_points(depths, camera, left, labels, {7: 0.5})
    there = (labels == 7) & np.isfinite(depths)
    assert len(points) == there.sum() > 50_000
    assert set(points["label"]) == {7} and set(points["score"]) == {0.5}
    rows, columns = np.nonzero(there)
    seen = FOCAL * (points["x"] - BASELINE) / points["z"] + RIGHT
    np.testing.assert_allclose(seen, columns - disparity[there], atol=0.01)
    np.testing.assert_allclose(FOCAL * points["y"] / points["z"] + ROW, rows, atol=0.01)
    red, green, blue = points["rgb"] >> 16, points["rgb"] >> 8 & 255, points["rgb"] & 255
    np.testing.assert_array_equal(np.stack([red, green, blue], 1), left[there])


def test_organised_clouds_have_a_point_for_every_pixel():
    left, _, depths, camera = motorcycle()
    labels = np.zeros(depths.shape, np.uint16)
    labels[200:300, 300:400] = 3
    cloud = labelled_points(depths, camera, left, labels, {3: 0.9}, organised=True)
    assert cloud.shape == depths.shape
    there = (labels > 0) & np.isfinite(depths)
    np.testing.assert_array_equal(np.isfinite(cloud["z"]), there)
    np.testing.assert_allclose(cloud["z"][there], depths[there])
    with pytest.raises(ValueError, match="of one size"):
        labelled_points(depths[:-1], camera, left, labels, {})


def test_a_tilted_board_gets_its_own_box_in_spite_of_its_ragged_border():
    """A board of 0.4 x 0.2 m, turned by 30 degrees; its border's depths are half the wall's behind it."""
    camera = CameraModel.from_info(info())
    turn, _ = cv2.Rodrigues(np.array([0.0, np.radians(30), 0.0]))
    centre = np.array([0.1, -0.05, 1.5])
    normal = turn[:, 2]
    rays = np.dstack([camera.rays, np.ones(camera.size)])
    z = (centre @ normal) / (rays @ normal)
    on_board = (rays * z[..., None] - centre) @ turn
    mask = (np.abs(on_board[..., 0]) <= 0.2) & (np.abs(on_board[..., 1]) <= 0.1)
    depths = np.where(mask, z, 4.0).astype(np.float32)
    border = mask & ~(cv2.erode(mask.astype(np.uint8), np.ones((3, 3))) > 0)
    depths[border] = (depths[border] + 4.0) / 2
    box = box_around(mask, depths, camera)
    np.testing.assert_allclose(box.centre, centre, atol=0.01)
    np.testing.assert_allclose(box.size, [0.4, 0.2, 0.0], atol=0.02)
    assert abs(box.axes[:, 0] @ turn[:, 0]) > 0.999 and abs(box.axes[:, 2] @ normal) > 0.99
    assert np.linalg.det(box.axes) == pytest.approx(1) and np.linalg.norm(box.quaternion) == pytest.approx(1)
    assert box_around(np.zeros_like(mask), depths, camera) is None
