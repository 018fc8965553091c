# SPDX-License-Identifier: Apache-2.0
"""Still scenes with true depth and calibration, in place of a camera with depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Before the name of a scene, as a camera's source.
PREFIX = "scene:"
#: Of scikit-image's stereo photograph "motorcycle" (Middlebury 2014), from its documentation: focal length
#: and principal point in pixels, difference of the principal points in pixels, metres between the cameras.
FOCAL, CENTRE, OFFSET, BASELINE = 994.978, (311.193, 254.877), 31.086, 0.193001


class SceneError(ValueError):
    """A scene that does not exist, or needs a package that is not installed."""


@dataclass(frozen=True)
class Scene:
    """An image with depth.

    Attributes:
        image: ``(H, W, 3)`` uint8 BGR.
        depth: ``(H, W)`` float32, metres along the optical axis; NaN where it is unknown.
        focal: focal length, pixels.
        centre: principal point x, y in pixels, counted from the centre of the top-left pixel.
    """

    image: np.ndarray
    depth: np.ndarray
    focal: float
    centre: tuple[float, float]


def open_scene(name: str) -> Scene:
    """Open a scene by its name.

    Raises:
        SceneError: There is no such scene; the message lists the names, or the package to install.
    """
    if name not in SCENES:
        raise SceneError(f"scene {name!r} does not exist; expected one of {', '.join(SCENES)}")
    return SCENES[name]()


def _motorcycle() -> Scene:
    """Return the left image of scikit-image's stereo photograph, with depth from its true disparity."""
    try:
        from skimage import data

        left, _, disparity = data.stereo_motorcycle()
    except (ImportError, OSError) as error:
        raise SceneError(
            f"scene 'motorcycle' comes with scikit-image, which is not there ({error}): pip install "
            f"scikit-image, or use {PREFIX}room"
        ) from error
    known = np.isfinite(disparity)
    depth = np.full(disparity.shape, np.nan, np.float32)
    depth[known] = FOCAL * BASELINE / (disparity[known] + OFFSET)
    return Scene(cv2.cvtColor(left, cv2.COLOR_RGB2BGR), depth, FOCAL, CENTRE)


#: The drawn room: size and focal length in pixels; in metres, in the camera's optical frame (x right, y down,
#: z forward): height of the camera above the floor, distance of the wall, and spheres (centre, radius).
WIDTH, HEIGHT, ROOM_FOCAL = 640, 480, 520.0
FLOOR, WALL = 0.9, 4.0
SPHERES = (((-0.7, 0.5, 2.2), 0.4), ((0.35, 0.65, 1.8), 0.25), ((0.9, 0.3, 3.0), 0.6))
#: Colours, BGR.
SPHERE_COLOURS = ((60, 60, 210), (70, 180, 70), (200, 130, 50))
FLOOR_COLOURS, WALL_COLOUR = ((190, 190, 190), (120, 120, 120)), (150, 175, 185)
#: Side of the floor's tiles, metres; direction towards the light.
TILE, LIGHT = 0.4, (-0.5, -0.7, -0.5)


def _room() -> Scene:
    """Draw three spheres on a tiled floor before a wall, by casting a ray for each pixel."""
    centre = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    # Rays have z = 1, so the factor along a ray is the depth.
    rays = np.stack(
        [(columns - centre[0]) / ROOM_FOCAL, (rows - centre[1]) / ROOM_FOCAL, np.ones_like(rows)], -1
    )
    depth = np.full((HEIGHT, WIDTH), WALL)
    image = np.tile(np.array(WALL_COLOUR, float), (HEIGHT, WIDTH, 1))
    below = rays[..., 1] > 0
    floor = np.divide(FLOOR, rays[..., 1], out=np.full_like(depth, np.inf), where=below)
    is_floor = floor < depth
    depth = np.where(is_floor, floor, depth)
    hits = rays * depth[..., None]
    odd = (np.floor(hits[..., 0] / TILE) + np.floor(hits[..., 2] / TILE)).astype(int) % 2
    image[is_floor] = np.array(FLOOR_COLOURS, float)[odd[is_floor]]
    for (middle, radius), colour in zip(SPHERES, SPHERE_COLOURS, strict=True):
        hit = _sphere(rays, np.array(middle), radius)
        nearer = hit < depth
        depth = np.where(nearer, hit, depth)
        normals = (rays * np.where(nearer, hit, 0)[..., None] - middle) / radius
        light = 0.35 + 0.65 * np.clip(normals @ (np.array(LIGHT) / np.linalg.norm(LIGHT)), 0, 1)
        image[nearer] = np.array(colour) * light[nearer][:, None]
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return Scene(
        np.clip(image + noise, 0, 255).astype(np.uint8), depth.astype(np.float32), ROOM_FOCAL, centre
    )


def _sphere(rays: np.ndarray, middle: np.ndarray, radius: float) -> np.ndarray:
    """Return the smallest factor along each ray ``(H, W, 3)`` that meets a sphere; infinity for none."""
    a = (rays**2).sum(-1)
    b = rays @ middle
    root = b**2 - a * (middle @ middle - radius**2)
    return np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


SCENES = {"motorcycle": _motorcycle, "room": _room}
