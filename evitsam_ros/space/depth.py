# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image of depths -> metres, by the units that REP 118 gives the encodings."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Encoding -> (type, metres to a unit).
ENCODINGS = {"32FC1": (np.float32, 1.0), "16UC1": (np.uint16, 0.001), "mono16": (np.uint16, 0.001)}


class DepthError(ValueError):
    """A message that holds no usable depths."""


def metres(message: Any) -> np.ndarray:
    """``(H, W)`` float32 metres; NaN where there is no measurement (0, infinite, not a number, negative).

    Raises:
        DepthError: naming what is wrong with encoding, step or data.
    """
    if message.encoding not in ENCODINGS:
        raise DepthError(f"encoding is {message.encoding!r}; expected one of {', '.join(ENCODINGS)}")
    kind, unit = ENCODINGS[message.encoding]
    kind = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    height, width, step = message.height, message.width, message.step
    if not height or not width or step < width * kind.itemsize:
        raise DepthError(
            f"depth is {width}x{height} with step {step}; expected {width * kind.itemsize} or more"
        )
    if len(message.data) < step * (height - 1) + width * kind.itemsize:
        raise DepthError(f"data has {len(message.data)} bytes; expected {step * height}")
    raw = np.frombuffer(message.data, np.uint8)
    rows = np.lib.stride_tricks.as_strided(raw, (height, width * kind.itemsize), (step, 1), writeable=False)
    depths = np.ascontiguousarray(rows).view(kind).astype(np.float32) * np.float32(unit)
    depths[~(np.isfinite(depths) & (depths > 0))] = np.nan
    return depths
