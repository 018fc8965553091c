# SPDX-License-Identifier: Apache-2.0
"""Decode a sensor_msgs/CompressedImage to RGB, by its bytes and its field ``format``.

image_transport writes ``ENCODING; CODEC compressed TARGET``: the encoding of the image, and that of the
pixels in the file if it was converted. Without a target the file holds the image as it is: a Bayer mosaic,
or 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .file_ends import check_file_end
from .image_header import HeaderError, encoded_image_size
from .pixel_layouts import Packed, mosaic_to_rgb, packed_to_rgb
from .raw_pixels import ImageError, check_size

if TYPE_CHECKING:
    from .intensity import Limits

#: Channels and depth unchanged, and without EXIF's rotation: camera_info does not include it.
_AS_IT_IS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True)
class CompressedFormat:
    """The parts of the field ``format``.

    Attributes:
        encoding: Encoding of the image before compression; arbitrary text if the publisher does not follow
            image_transport.
        codec: ``jpeg``, ``png`` or ``tiff``; empty if it is not named.
        target: Encoding of the pixels in the file; empty if they were not converted.
    """

    encoding: str
    codec: str
    target: str

    @classmethod
    def parse(cls, text: str) -> CompressedFormat:
        """Parse ``ENCODING; CODEC compressed TARGET``; missing parts are empty."""
        encoding, _, rest = text.partition(";")
        codec, _, target = rest.partition("compressed")
        return cls(encoding.strip(), codec.strip(), target.strip())


def decode_file(message: Any) -> np.ndarray:
    """Decode the data of a CompressedImage.

    Returns:
        ``(H, W)``, or ``(H, W, 3)`` in OpenCV's order without alpha; uint8, uint16 or float32.

    Raises:
        ImageError: The data are no image, or one that is too large. Both are detected before decoding.
    """
    raw = np.frombuffer(message.data, np.uint8)
    try:
        return decode_bytes(raw)
    except ImageError as error:
        raise ImageError(
            f"compressed image of {raw.size} bytes, format {message.format!r}, {error}; "
            "expected a complete JPEG, PNG or TIFF"
        ) from error


def decode_bytes(raw: np.ndarray) -> np.ndarray:
    """Decode the ``(N,)`` uint8 bytes of a file, see :func:`decode_file`.

    Raises:
        ImageError: The data are no image. The message has no subject: the caller names the file.
    """
    try:
        data = raw.tobytes()
        size = encoded_image_size(data)
        check_size(*size)
        check_file_end(data)
        decoded = cv2.imdecode(raw, _AS_IT_IS)
    except HeaderError as error:
        raise ImageError(str(error)) from error
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({error.err})") from error
    if decoded is None or decoded.shape[:2] != size:
        raise ImageError("cannot be decoded")
    return decoded


def image_size(message: Any) -> tuple[int, int]:
    """Return (H, W) of an Image or CompressedImage without decoding it.

    Raises:
        ImageError: The data are no image.
    """
    if not hasattr(message, "format"):
        return message.height, message.width
    try:
        return encoded_image_size(bytes(message.data))
    except HeaderError as error:
        raise ImageError(f"compressed image of {len(message.data)} bytes {error}") from error


def file_to_rgb(pixels: np.ndarray, form: CompressedFormat, limits: Limits | None = None) -> np.ndarray:
    """Convert decoded pixels to ``(H, W, 3)`` uint8 RGB.

    Args:
        pixels: Result of :func:`decode_file`.
        form: Parsed field ``format`` of the message.
        limits: Black and white of 16-bit and float images, see :func:`.intensity.to_uint8`.

    Raises:
        ImageError: The image is a Bayer mosaic of an unknown pattern, or smaller than its pattern.
    """
    kind = pixels.dtype.str[1:]
    if pixels.ndim == 3:
        return packed_to_rgb(pixels, Packed(3, kind, _colour_order(form)), limits)
    # A JPEG's target is mono8: the plugin has made a grey image of the mosaic.
    if form.encoding.startswith("bayer_") and form.target in ("", form.encoding):
        return mosaic_to_rgb(pixels, form.encoding, limits)
    return packed_to_rgb(pixels[..., None], Packed(1, kind, "grey"), limits)


def _colour_order(form: CompressedFormat) -> str:
    """Return the order of the decoded channels: bgr, unless the publisher wrote them in the wrong order."""
    if form.target:
        return "rgb" if form.target.startswith("rgb") else "bgr"
    # The plugin converts to a target for PNG and JPEG; for TIFF it ignores the order.
    return "rgb" if form.encoding.startswith("rgb") and form.codec.startswith("tif") else "bgr"
