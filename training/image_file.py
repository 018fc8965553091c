# SPDX-License-Identifier: Apache-2.0
"""Read an image file of a data set as RGB; a damaged or truncated file is an error."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from evitsam_ros.io.file_ends import check_file_end
from evitsam_ros.io.image_header import HeaderError, encoded_image_size

if TYPE_CHECKING:
    from pathlib import Path

#: Max size of a file in bytes.
MAX_BYTES = 2**29
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG"
#: A marker of a JPEG. Between markers, 0xFF occurs only before a zero or as a restart.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_END, _TEMPORARY = b"\xd9", b"\x01"


def read_rgb(image: Path | bytes, size: tuple[int, int], *, apply_exif: bool = True) -> np.ndarray:
    """Decode a file, or its bytes, as ``(H, W, 3)`` uint8 RGB.

    Args:
        image: path or bytes of the file.
        size: expected (H, W) in pixels. The header is read first, so that a small file cannot allocate more
            memory.
        apply_exif: rotate the image by its EXIF orientation.

    Raises:
        ValueError: the file is missing, not an image, damaged, truncated, or of another size.
    """
    data = image if isinstance(image, bytes) else _read_bytes(image)
    where = f"{len(data)} bytes" if isinstance(image, bytes) else str(image)
    try:
        found = _size(data)
        check_file_end(data)
    except HeaderError as error:
        raise ValueError(f"cannot be read as an image: it {error} ({where})") from error
    if found not in (size, size[::-1]):  # EXIF can request a quarter turn
        raise ValueError(_size_mismatch(found, size))
    if data.startswith(_JPEG) and not is_complete_jpeg(data):
        raise ValueError(f"cannot be read as an image: it is cut off ({where})")
    try:
        flags = cv2.IMREAD_COLOR | (0 if apply_exif else cv2.IMREAD_IGNORE_ORIENTATION)
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise ValueError(f"cannot be read as an image ({where})")
    if decoded.shape[:2] != size:
        raise ValueError(_size_mismatch(decoded.shape[:2], size))
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def is_complete_jpeg(data: bytes) -> bool:
    """Return whether a JPEG has its end marker; those of embedded previews do not count."""
    place = len(_JPEG)
    while (found := _MARKER.search(data, place)) is not None:
        if found[1] == _END:
            return True
        place = found.end()
        if found[1] != _TEMPORARY:
            place += int.from_bytes(data[place : place + 2], "big")
    return False


def _read_bytes(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise ValueError(f"cannot be read as an image ({file} is no file)")
        if (size := file.stat().st_size) > MAX_BYTES:
            raise ValueError(f"has {size} bytes; expected at most {MAX_BYTES} ({file})")
        return file.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read as an image ({file}: {error.strerror})") from error


def _size(data: bytes) -> tuple[int, int]:
    """Return (H, W) from the header; raise ``HeaderError`` without one."""
    if data.startswith((_JPEG, _PNG)):
        return encoded_image_size(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as opened:
                return opened.height, opened.width
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise HeaderError("has no header that is known") from error


def _size_mismatch(found: tuple[int, int], expected: tuple[int, int]) -> str:
    return f"is {found[1]}x{found[0]}, its annotations say {expected[1]}x{expected[0]}"
