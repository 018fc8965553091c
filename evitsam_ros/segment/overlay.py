# SPDX-License-Identifier: Apache-2.0
"""Drawings for people: masks over the image, an object's colour stable over frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .masks import Masks
    from .prompt import Prompt


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
    image: np.ndarray, masks: Masks, alpha: float = 0.5, prompts: Sequence[Prompt] | None = None
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
    return draw_label_map(image, masks.label_map(), alpha, prompts)


def draw_label_map(
    image: np.ndarray,
    labels: np.ndarray,
    alpha: float = 0.5,
    prompts: Sequence[Prompt] | None = None,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """As :func:`draw_overlay`, from a ``(H, W)`` label map; ``colours``: ``(labels, 3)`` uint8 RGB."""
    inside = labels > 0
    result = image.copy()
    # Paint inside the box of all objects only: most images are mostly background.
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    if len(rows):
        window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        if colours is None:
            colours = object_colours(np.arange(int(labels.max()) + 1))
        painted = colours[labels[window]]
        mixed = cv2.addWeighted(image[window], 1 - alpha, painted, alpha, 0)
        np.copyto(result[window], mixed, where=inside[window][..., None])
        _outline(result[window], labels[window], painted)
    for prompt in prompts or []:
        _draw_prompt(result, prompt)
    return result


def draw_notice(size: tuple[int, int], text: str) -> np.ndarray:
    """Return a black ``(H, W, 3)`` uint8 image of (H, W) pixels with a line of text, as large as fits."""
    image = np.zeros((*size, 3), np.uint8)
    font, margin = cv2.FONT_HERSHEY_SIMPLEX, size[1] // 20
    (width, _), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(1.0, (size[1] - 2 * margin) / max(width, 1))
    cv2.putText(image, text, (margin, size[0] // 2), font, scale, (160, 160, 160), 1, cv2.LINE_AA)
    return image


def _outline(image: np.ndarray, labels: np.ndarray, painted: np.ndarray) -> None:
    """Draw the borders between labels in the full colour of the object."""
    border = np.zeros(labels.shape, bool)
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    border[1:] |= labels[1:] != labels[:-1]
    border &= labels > 0
    np.copyto(image, painted, where=border[..., None])


def _draw_prompt(image: np.ndarray, prompt: Prompt) -> None:
    size = max(3, max(image.shape) // 160)
    if prompt.box is not None:
        # OpenCV draws no numbers beyond 32 bits; a little beside the image is as far as any.
        reach = np.array([image.shape[1], image.shape[0]] * 2) + 2 * size
        x0, y0, x1, y1 = np.clip(prompt.box, -2 * size, reach).round().astype(int).tolist()
        cv2.rectangle(image, (x0, y0), (x1, y1), (255, 255, 255), max(1, size // 2), cv2.LINE_AA)
    for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
        centre = (round(float(x)), round(float(y)))
        cv2.circle(image, centre, size + 2, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(image, centre, size, (30, 200, 60) if label else (230, 40, 40), -1, cv2.LINE_AA)
