# SPDX-License-Identifier: Apache-2.0
"""Scale 16-bit, signed and floating-point images to uint8; their encodings do not define white.

A 16-bit image may hold 10, 12, 14 or 16 bits, a thermal one hundredths of a kelvin; the encoding is the same.
So black and white are percentiles of the image, unless fixed limits are given:

- one channel: black is the 0.5th percentile, white the 99.5th;
- colour and Bayer mosaics: black is 0, which keeps the hue, white the 99.5th percentile of all channels.
"""

from __future__ import annotations

import math

import numpy as np

#: Percentiles of black and white: half a percent of hot or dead pixels does not matter.
BLACK, WHITE = 0.5, 99.5
#: Larger values are clipped, so that differences stay finite.
MAX_VALUE = 1e300
#: Percentiles are taken of about this many values, evenly spread.
SAMPLED = 65536

#: Values of black and of white.
Limits = tuple[float, float]


def to_uint8(values: np.ndarray, limits: Limits | None = None, *, colour: bool = False) -> np.ndarray:
    """Scale values between black and white to 0 to 255; values that are not finite become black.

    Args:
        values: ``(H, W)`` or ``(H, W, C)`` of any real type, in native byte order.
        limits: black and white, white larger; None: those of the image.
        colour: the values are those of several colours.

    Returns:
        uint8, of the same shape.
    """
    black, white = find_limits(values, colour=colour) if limits is None else limits
    if values.dtype == np.uint16:
        return _scaled(np.arange(2**16), black, white)[values]
    return _scaled(values, black, white)


def find_limits(values: np.ndarray, *, colour: bool = False) -> Limits:
    """Return black and white of an image by its percentiles; both are equal if it is uniform."""
    # An odd step meets all colours of a mosaic.
    step = math.ceil(math.sqrt(values.shape[0] * values.shape[1] / SAMPLED)) | 1
    for part in (values[::step, ::step], values):
        finite = part[np.isfinite(part)] if part.dtype.kind == "f" else part.ravel()
        if not finite.size:
            continue
        # The second pass takes the extremes: few pixels differ from the rest, and they are the content.
        ends = (BLACK, WHITE) if part is not values else (0, 100)
        black, white = np.clip(np.percentile(finite, ends).astype(float), -MAX_VALUE, MAX_VALUE)
        black = min(0.0, white) if colour else black
        if white > black:
            break
    else:
        return 0.0, 0.0
    return float(black), float(white)


def _scaled(values: np.ndarray, black: float, white: float) -> np.ndarray:
    if white <= black:
        return np.zeros(values.shape, np.uint8)
    values = values.astype(np.float64)
    values[~np.isfinite(values)] = black
    return np.rint((np.clip(values, black, white) - black) * (255 / (white - black))).astype(np.uint8)
