# SPDX-License-Identifier: Apache-2.0
"""Pictures for people: masks over the image, an object's colour stable over frames."""

from __future__ import annotations

import cv2
import numpy as np

from .masks import Masks


def object_colours(ids: np.ndarray) -> np.ndarray:
    """``(N, 3)`` uint8 RGB, one well-separated hue an id (steps of the golden angle); id 0 is black."""
    ids = np.asarray(ids)
    hue = (ids * 137.508 / 2 % 180).astype(np.uint8)
    saturation = (200 - ids % 3 * 35).astype(np.uint8)
    hsv = np.stack([hue, saturation, np.full_like(hue, 255)], axis=-1)
    colours = cv2.cvtColor(hsv.reshape(1, -1, 3), cv2.COLOR_HSV2RGB).reshape(-1, 3)
    colours[ids == 0] = 0
    return colours


def draw_overlay(
    image: np.ndarray, masks: Masks, alpha: float = 0.5, prompts: list | None = None
) -> np.ndarray:
    """Draw masks, their outlines and, where given, their prompts.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; not written to.
        masks: of that image.
        alpha: opacity of the fill, 0 to 1.
        prompts: :class:`~evitsam_ros.segment.prompt.Prompt` objects in pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    labels = masks.label_map()
    return draw_label_map(image, labels, alpha, prompts)


def draw_label_map(
    image: np.ndarray, labels: np.ndarray, alpha: float = 0.5, prompts: list | None = None
) -> np.ndarray:
    """As :func:`draw_overlay`, from a ``(H, W)`` uint16 label map."""
    present, inverse = np.unique(labels, return_inverse=True)
    colours = object_colours(present.astype(int))
    painted = colours[inverse.reshape(labels.shape)]
    inside = labels > 0
    result = image.copy()
    mixed = cv2.addWeighted(image, 1 - alpha, painted, alpha, 0)
    result[inside] = mixed[inside]
    border = np.zeros_like(inside)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    if max(image.shape) > 900:
        border = cv2.dilate(border.astype(np.uint8), np.ones((2, 2), np.uint8)).astype(bool)
    result[border] = np.where(inside[border, None], painted[border], 255)
    for prompt in prompts or []:
        _draw_prompt(result, prompt)
    return result


def _draw_prompt(image: np.ndarray, prompt) -> None:
    size = max(3, max(image.shape) // 160)
    if prompt.box is not None:
        x0, y0, x1, y1 = (round(float(v)) for v in prompt.box)
        cv2.rectangle(image, (x0, y0), (x1, y1), (255, 255, 255), max(1, size // 2), cv2.LINE_AA)
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        centre = (round(float(x)), round(float(y)))
        cv2.circle(image, centre, size + 2, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(image, centre, size, (30, 200, 60) if label else (230, 40, 40), -1, cv2.LINE_AA)
