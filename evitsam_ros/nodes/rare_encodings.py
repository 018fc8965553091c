# SPDX-License-Identifier: Apache-2.0
"""Encodings that :mod:`evitsam_ros.encodings` does not know, by cv_bridge where it is installed.

Only these: its compiled part has broken with every numpy release, and it copies.
"""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image

from ..encodings import DECODERS, ImageError


def with_cv_bridge(message: Image) -> np.ndarray:
    """``(H, W, 3)`` uint8 RGB.

    Raises:
        ImageError: cv_bridge is not installed, or does not know the encoding either.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        raise ImageError(
            f"encoding is {message.encoding!r}; expected one of {', '.join(DECODERS)} "
            "(others need cv_bridge, which is not installed)"
        ) from None
    try:
        return CvBridge().imgmsg_to_cv2(message, "rgb8")
    except CvBridgeError as error:
        raise ImageError(
            f"encoding is {message.encoding!r}, and cv_bridge cannot convert it: {error}"
        ) from error
