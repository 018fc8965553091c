# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CompressedImage -> RGB, by the bytes and by what ``format`` says of them.

image_transport writes ``ENCODING; CODEC compressed TARGET``: the encoding of the image, and that of the
pixels in the file if it was converted. Without a target the file holds the image as it is: a Bayer mosaic,
or 16 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from .image_header import HeaderError, picture_size
from .pixel_layouts import Packed, mosaic_to_rgb, packed_to_rgb
from .raw_pixels import ImageError, check_size

if TYPE_CHECKING:
    from .intensity import Limits

#: Channels and depth as they are, and as they lie: camera_info knows nothing of a turn that EXIF asks for.
_AS_IT_IS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION


@dataclass(frozen=True)
class CompressedFormat:
    """What ``format`` says.

    Attributes:
        encoding: of the image that was compressed; anything if the publisher does not follow image_transport.
        codec: ``jpeg``, ``png``, ``tiff``; empty if it is not named.
        target: encoding of the pixels in the file; empty if they were not converted.
    """

    encoding: str
    codec: str
    target: str

    @classmethod
    def parse(cls, text: str) -> CompressedFormat:
        """Read ``ENCODING; CODEC compressed TARGET``, or as much of it as there is."""
        encoding, _, rest = text.partition(";")
        codec, _, target = rest.partition("compressed")
        return cls(encoding.strip(), codec.strip(), target.strip())


def decode_file(message: Any) -> np.ndarray:
    """Decode the data of a CompressedImage: ``(H, W)``, or ``(H, W, 3)`` in OpenCV's order, without alpha.

    Raises:
        ImageError: the data is no image, or one that is too large; that is found out before it is decoded.
    """
    raw = np.frombuffer(message.data, np.uint8)
    try:
        return decode_bytes(raw)
    except ImageError as error:
        raise ImageError(
            f"compressed image of {raw.size} bytes, format {message.format!r}, {error}; "
            "expected a whole JPEG, PNG or TIFF"
        ) from error


def decode_bytes(raw: np.ndarray) -> np.ndarray:
    """Decode the ``(N,)`` uint8 bytes of a file, see :func:`decode_file`.

    Raises:
        ImageError: what is wrong, to be put after the name of the file.
    """
    try:
        size = picture_size(raw.tobytes())
        check_size(*size)
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
        ImageError: the data is no image.
    """
    if not hasattr(message, "format"):
        return message.height, message.width
    try:
        return picture_size(bytes(message.data))
    except HeaderError as error:
        raise ImageError(f"compressed image of {len(message.data)} bytes {error}") from error


def file_to_rgb(pixels: np.ndarray, form: CompressedFormat, limits: Limits | None = None) -> np.ndarray:
    """Convert what :func:`decode_file` gives to ``(H, W, 3)`` uint8 RGB, by what ``format`` says of it.

    Raises:
        ImageError: it is a mosaic of an unknown pattern, or smaller than its pattern.
    """
    kind = pixels.dtype.str[1:]
    if pixels.ndim == 3:
        return packed_to_rgb(pixels, Packed(3, kind, _colour_order(form)), limits)
    # A JPEG's target is mono8: the plugin has made a grey image of the mosaic.
    if form.encoding.startswith("bayer_") and form.target in ("", form.encoding):
        return mosaic_to_rgb(pixels, form.encoding, limits)
    return packed_to_rgb(pixels[..., None], Packed(1, kind, "grey"), limits)


def _colour_order(form: CompressedFormat) -> str:
    """Order of the channels that OpenCV decodes: bgr, unless they were written in the wrong order."""
    if form.target:
        return "rgb" if form.target.startswith("rgb") else "bgr"
    # The plugin writes PNG and JPEG with a target; TIFF it writes without a look at the order.
    return "rgb" if form.encoding.startswith("rgb") and form.codec.startswith("tif") else "bgr"
