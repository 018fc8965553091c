# SPDX-License-Identifier: Apache-2.0
"""Read and write image files; a damaged file is rejected by its name.

The bytes are read in Python: native code gets no file name, and cannot fill missing pixels with grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from .file_ends import check_file_end
from .image_header import HeaderError, encoded_image_size

if TYPE_CHECKING:
    from pathlib import Path

#: Endings of the images that OpenCV decodes.
IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif"),
    *(".jp2", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
#: Endings of formats that keep every value of one channel.
LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".pgm")
#: A larger image does not fit into the memory of a small computer together with its masks.
MAX_PIXELS = 2**28


class ImageFileError(ValueError):
    """A file that cannot be read or written as an image."""


def read_image(path: Path) -> np.ndarray:
    """Read an image for display: rotated by its EXIF orientation, without alpha, 16 bits scaled to 8.

    Returns:
        ``(H, W, 3)`` uint8 BGR.

    Raises:
        ImageFileError: The file is missing, empty, cut off, too large, or no image; the message names both.
    """
    try:
        if path.is_char_device():
            raise ImageFileError(f"{path} is a device; expected an image file")
        data = path.read_bytes()
    except OSError as error:
        raise ImageFileError(f"{path} cannot be read: {error.strerror}") from error
    return decode_image(data, path)


def decode_image(data: bytes, name: Path | str) -> np.ndarray:
    """Decode the bytes of an image file as :func:`read_image` does; ``name`` is for messages.

    Raises:
        ImageFileError: The data are empty, cut off, too large, or no image; the message names the file.
    """
    if not data:
        raise ImageFileError(f"{name} is empty: it has 0 bytes")
    _check_header(name, data)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise ImageFileError(f"{name} cannot be decoded: {error.err}") from error
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ImageFileError(f"{name} cannot be decoded; expected a complete image of 8 or 16 bits")
    return image if image.dtype == np.uint8 else _to_8_bits(image)


def _check_header(path: Path | str, data: bytes) -> None:
    """Reject a file that is cut off or too large, before a decoder allocates memory for it."""
    has_size = data.startswith((b"\xff\xd8", b"\x89PNG\r\n\x1a\n"))
    try:
        size = encoded_image_size(data) if has_size else check_file_end(data)
    except HeaderError as error:
        raise ImageFileError(f"{path} {error}; expected a complete image") from error
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise ImageFileError(f"{path} is {size[1]}x{size[0]}; expected at most {MAX_PIXELS} pixels")


def _to_8_bits(image: np.ndarray) -> np.ndarray:
    """Stretch grey values from their range, colours from 0 to their maximum.

    Thermal and infrared cameras use a small part of 16 bits: the upper 8 alone would be nearly black.
    """
    low = int(image.min()) if (image == image[..., :1]).all() else 0
    scale = 255.0 / max(int(image.max()) - low, 1)
    return cv2.convertScaleAbs(image.astype(np.float32) - low, alpha=scale)


def check_image_ending(path: Path) -> None:
    """Raise ``ImageFileError`` when OpenCV has no encoder for a file's ending."""
    if not any(_is_encoded(path.suffix, shape) for shape in ((2, 2, 3), (2, 2))):
        has = f"the ending {path.suffix!r}" if path.suffix else "no ending"
        raise ImageFileError(f"{path} has {has}; expected one that OpenCV writes, as .png or .jpg")


def check_lossless_ending(path: Path) -> None:
    """Raise ``ImageFileError`` when values of pixels would not survive in the format of a file's ending."""
    check_image_ending(path)
    if path.suffix.lower() not in LOSSLESS:
        raise ImageFileError(
            f"{path} has the ending {path.suffix!r}, whose format changes values; expected one of "
            f"{', '.join(LOSSLESS)}"
        )


def write_image(path: Path, image: np.ndarray) -> None:
    """Write ``(H, W, 3)`` uint8 BGR in the format of the file's ending.

    Raises:
        ImageFileError: there is no encoder for the ending, or for an image of this size.
        OSError: the file cannot be written.
    """
    check_image_ending(path)
    try:
        good, encoded = cv2.imencode(path.suffix, image)
    except cv2.error as error:
        raise ImageFileError(f"{path} cannot be encoded: {error.err}") from error
    if not good:
        height, width = image.shape[:2]
        raise ImageFileError(f"{path} cannot be encoded: {width}x{height} pixels do not fit; try .png")
    path.write_bytes(encoded.tobytes())


def _is_encoded(ending: str, shape: tuple[int, ...]) -> bool:
    """Return whether OpenCV encodes uint8 images of a shape; some formats are for one channel only."""
    try:
        ending.encode()
        return bool(ending) and cv2.imencode(ending, np.zeros(shape, np.uint8))[0]
    except (UnicodeError, cv2.error):
        return False
