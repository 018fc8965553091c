# SPDX-License-Identifier: Apache-2.0
"""Convert a sensor_msgs/Image of depths to metres, by the units of REP 118."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..io.raw_pixels import ImageError, packed_pixels

#: Encoding -> (type, metres to a unit).
METRES = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 0.001), "mono16": ("u2", 0.001)}


class DepthError(ValueError):
    """A depth message cannot be used."""


def metres(message: Any) -> np.ndarray:
    """Return ``(H, W)`` float32 metres; NaN where there is no measurement (0, infinite, NaN, negative).

    Raises:
        DepthError: Encoding, step or data are invalid; the message names which.
    """
    if message.encoding not in METRES:
        raise DepthError(f"encoding is {message.encoding!r}; expected one of {', '.join(METRES)}")
    kind, unit = METRES[message.encoding]
    try:
        return valid_metres(packed_pixels(message, 1, kind)[..., 0], unit)
    except ImageError as error:
        raise DepthError(f"depth: {error}") from error


def valid_metres(values: np.ndarray, unit: float = 1.0) -> np.ndarray:
    """Scale ``(H, W)`` measurements to float32 metres, NaN where there is none."""
    depths = values.astype(np.float32) * np.float32(unit)
    depths[~(np.isfinite(depths) & (depths > 0))] = np.nan
    return depths
