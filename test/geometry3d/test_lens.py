# SPDX-License-Identifier: Apache-2.0
"""Lenses of every model against the formulas of OpenCV's documentation, over random images."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from evitsam_ros.geometry3d import CalibrationError, CameraModel

#: What drivers publish: name, coefficients.
DRIVERS = {
    "RealSense colour": ("plumb_bob", (-0.0557, 0.0684, 0.0003, 0.0007, -0.0217)),
    "Orbbec": ("plumb_bob", (-0.03, 0.035, -0.0001, -0.0001, -0.012, 0.0, 0.0, 0.0)),
    "Azure Kinect": ("rational_polynomial", (0.56, -2.7, 0.0007, -0.0002, 1.52, 0.44, -2.53, 1.46)),
    "OAK": (
        "rational_polynomial",
        (2.35, -16.6, 0.0006, -0.0003, 41.1, 2.2, -16.2, 40.2, *(0.0,) * 4, 0.001, -0.002),
    ),
    "thin prism": (
        "thin_prism",
        (-0.21, 0.06, 0.0004, -0.0006, -0.01, 0.03, 0.01, 0.002, 0.001, 0.002, -0.003, 0.001),
    ),
    "four": ("plumb_bob", (-0.3, 0.11, 0.0012, -0.0009)),
    "T265": ("equidistant", (-0.0066, 0.0447, -0.0415, 0.0070, 0.0)),
    "kalibr": ("kannala_brandt4", (0.08, -0.02, 0.004, -0.0007)),
    "fisheye": ("fisheye", (-0.04, 0.001, 0.0003, -0.0001)),
}


def info(model: str, d, size: tuple[int, int], focal: tuple[float, float], centre: tuple[float, float]):
    k = (focal[0], 0, centre[0], 0, focal[1], centre[1], 0, 0, 1)
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    p = [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    return SimpleNamespace(
        **{"distortion_model": model, "d": d, "k": k, "p": p, "height": size[0], "width": size[1]},
        **{"binning_x": 0, "binning_y": 0, "roi": roi},
    )


def polynomial(rays: np.ndarray, d) -> np.ndarray:
    """The formula of cv2.projectPoints, by its documentation."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, tx, ty = np.append(d, np.zeros(14))[:14]
    x, y = rays.T
    r = x * x + y * y
    radial = (1 + k1 * r + k2 * r**2 + k3 * r**3) / (1 + k4 * r + k5 * r**2 + k6 * r**3)
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x) + s1 * r + s2 * r * r
    v = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y + s3 * r + s4 * r * r
    cx, sx, cy, sy = np.cos(tx), np.sin(tx), np.cos(ty), np.sin(ty)
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    level = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
    tilted = np.column_stack([u, v, np.ones(len(u))]) @ (level @ turn).T
    return tilted[:, :2] / tilted[:, 2:]


def fisheye(rays: np.ndarray, d) -> np.ndarray:
    """The formula of cv2.fisheye.projectPoints, by its documentation."""
    r = np.hypot(*rays.T)
    theta = np.arctan(r)
    bent = theta * (1 + d[0] * theta**2 + d[1] * theta**4 + d[2] * theta**6 + d[3] * theta**8)
    return rays * (bent / r)[:, None]


def formula(rays: np.ndarray, model: str, d) -> np.ndarray:
    fish = model in ("equidistant", "fisheye", "kannala_brandt4")
    return (fisheye if fish else polynomial)(rays, d)


def end_of(model: str, d) -> float:
    """The angle in degrees at which the radius stops growing; of the radial part."""
    angles = np.radians(np.arange(0.01, 89, 0.01))
    rays = np.column_stack([np.tan(angles), np.zeros(len(angles))])
    radial = np.array(d) * [0 if i in (2, 3) or i > 7 else 1 for i in range(len(d))]
    grows = np.diff(formula(rays, model, d if model in ("equidistant", "fisheye") else radial)[:, 0]) > 0
    return float(np.degrees(angles[np.argmin(grows)] if not grows.all() else angles[-1]))


def rays_within(rng: np.random.Generator, degrees: float, count: int = 4000) -> np.ndarray:
    angle, around = np.radians(rng.uniform(0.1, degrees, count)), rng.uniform(0, 2 * np.pi, count)
    return np.tan(angle)[:, None] * np.column_stack([np.cos(around), np.sin(around)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", DRIVERS)
def test_rays_and_pixels_of_drivers_lenses(name, seed):
    """Random sizes, aspect ratios and principal points."""
    model, d = DRIVERS[name]
    rng = np.random.default_rng(seed)
    height, width = rng.integers(100, 1200, 2).tolist()
    end = end_of(model, d)
    # Focal lengths with which the lens covers nearly all of the image, or more.
    reach = formula(np.array([[np.tan(np.radians(min(end, 60))), 0.0]]), model, d)[0, 0]
    focal = rng.uniform(0.9, 1.4, 2) * max(height, width) / 2 / reach
    centre = rng.uniform(0.45, 0.55, 2) * (width, height)
    camera = CameraModel.from_info(info(model, d, (height, width), focal, centre))
    rays = rays_within(rng, min(end * 0.97, 85))
    pixels = formula(rays, model, d) * focal + centre
    depth = rng.uniform(0.2, 9, (len(rays), 1))
    np.testing.assert_allclose(camera.project(np.hstack([rays * depth, depth])), pixels, atol=1e-5)
    # In degrees: x / z of a wide ray is large.
    back = camera.unproject(pixels)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(np.arctan(back), np.arctan(rays), atol=1e-4)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_ray_that_does_not_project_back_to_its_pixel_is_none(name):
    """All pixels of an image that reaches beyond the lens."""
    model, d = DRIVERS[name]
    around, size = np.linspace(0, 2 * np.pi, 720), (400, 640)
    edge = np.tan(np.radians(end_of(model, d))) * np.column_stack([np.cos(around), np.sin(around)])
    edge = formula(edge, model, d)
    focal = 0.8 * 320 / np.hypot(*edge.T).max()
    camera = CameraModel.from_info(info(model, d, size, (focal, focal), (319.5, 199.5)))
    rays = camera.rays.reshape(-1, 2).astype(float)
    has = camera.has_ray.reshape(-1)
    grid = np.stack(np.meshgrid(np.arange(640), np.arange(400)), -1).reshape(-1, 2)
    np.testing.assert_allclose(formula(rays[has], model, d) * focal + 319.5, grid[has] + [0, 120], atol=0.02)
    # The circle of the lens: all of it and nothing else.
    away = np.hypot(*(grid - (319.5, 199.5)).T)
    radii = np.hypot(*edge.T) * focal
    assert not has[away > 1.06 * radii.max()].any() and has[away < 0.95 * radii.min()].all()
    assert 0.1 < has.mean() < 1


@pytest.mark.parametrize("model", ["plumb_bob", "rational_polynomial", "thin_prism"])
@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_all_counts_of_opencv_under_all_names(model, count):
    rng = np.random.default_rng(count)
    d = rng.uniform(-0.02, 0.02, count)
    camera = CameraModel.from_info(info(model, d.tolist(), (300, 400), (350, 340), (200, 150)))
    pixels = rng.uniform(0, 300, (200, 2))
    matrix = camera.matrix
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    expected = cv2.undistortPoints(pixels[:, None], matrix, d, criteria=stop)[:, 0]
    np.testing.assert_allclose(camera.unproject(pixels), expected, atol=1e-6)
    points = np.column_stack([expected, np.ones(len(expected))]) * 2
    empty = np.zeros(3)
    by_opencv = cv2.projectPoints(points[:, None], empty, empty, matrix, d)[0][:, 0]
    np.testing.assert_allclose(camera.project(points), by_opencv, atol=1e-6)


@pytest.mark.parametrize("count", [0, 4, 5, 8, 12, 14])
@pytest.mark.parametrize("model", ["", "none", "plumb_bob", "rational_polynomial", "equidistant", "NONE"])
def test_zeros_are_no_distortion(model, count):
    camera = CameraModel.from_info(info(model, [0.0] * count, (300, 400), (350, 340), (200, 150)))
    np.testing.assert_allclose(camera.project([[0.4, -0.2, 2.0]]), [[270, 116]])
    np.testing.assert_allclose(camera.unproject([[270, 116]]), [[0.2, -0.1]])


@pytest.mark.parametrize(
    ("model", "d", "text"),
    [
        ("magic", [0.1] * 5, "'magic'; expected one of plumb_bob, .*, kannala_brandt4, none, pinhole"),
        ("", [0.1] * 5, "'' with 5 coefficients, not all 0; expected 0"),
        ("plumb_bob", [0.1] * 6, "'plumb_bob' with 6 coefficients, not all 0; expected 4 or 5 or 8 or 12"),
        ("equidistant", [0.1] * 5, "'equidistant' with 5 coefficients, not all 0; expected 4"),
        ("fisheye", [0.1] * 2, "'fisheye' with 2 coefficients, not all 0; expected 4"),
        ("plumb_bob", [np.nan] * 5, "expected finite numbers"),
    ],
)
def test_lenses_that_are_not_known_are_named(model, d, text):
    with pytest.raises(CalibrationError, match=text):
        CameraModel.from_info(info(model, d, (300, 400), (350, 340), (200, 150)))


@pytest.mark.parametrize("seed", range(6))
def test_binning_and_region_by_averaging_pixels(seed):
    """The camera's own pixels are binned in the test: the binned one sees what the mean of them sees."""
    rng = np.random.default_rng(seed)
    (x, y), (bx, by) = rng.integers(0, 60, 2).tolist(), rng.integers(1, 5, 2).tolist()
    roi = SimpleNamespace(x_offset=x, y_offset=y, width=int(rng.integers(99, 200)), height=160)
    full = info("plumb_bob", [0.0] * 5, (300, 400), (350.0, 340.0), (201.3, 149.8))
    rays = CameraModel.from_info(full).rays[y : y + roi.height, x : x + roi.width]
    rows, columns = roi.height // by, roi.width // bx
    blocks = rays[: rows * by, : columns * bx].reshape(rows, by, columns, bx, 2).mean((1, 3))
    cut = SimpleNamespace(**vars(full) | {"roi": roi, "binning_x": bx, "binning_y": by})
    camera = CameraModel.from_info(cut)
    assert camera.size == (rows, columns)
    np.testing.assert_allclose(camera.rays, blocks, atol=1e-5)
    by_p = CameraModel.from_info(cut, rectified=True)
    np.testing.assert_allclose(by_p.matrix, camera.matrix)


def test_sizes_are_compared():
    camera = CameraModel.from_info(info("", [], (300, 400), (350, 340), (200, 150)))
    camera.check_size((300, 400))
    with pytest.raises(CalibrationError, match="describes 400x300 pixels, the image has 200x150; expected"):
        camera.check_size((150, 200))
    with pytest.raises(CalibrationError, match="has size 0x0"):
        CameraModel.from_info(info("", [], (0, 0), (350, 340), (200, 150)))
