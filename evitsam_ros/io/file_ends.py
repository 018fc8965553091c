# SPDX-License-Identifier: Apache-2.0
"""Size and completeness of BMP, PNM, WebP, GIF, TIFF and JPEG 2000 files, before OpenCV decodes them.

OpenCV fills what is missing in some of them with black or grey, and allocates what a header claims.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from .image_header import HeaderError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Compressions of a BMP whose rows have a fixed length: none, and none with masks of the channels.
_PLAIN_BMP = (0, 3, 6)
_BETWEEN = rb"(?:\s|#[^\n]*\n)+"
#: Header of a bitmap, and of grey and coloured images, which give their greatest value too.
_PBM = re.compile(rb"P4" + _BETWEEN + rb"(\d+)" + _BETWEEN + rb"(\d+)\s")
_PNM = re.compile(rb"P[56]" + _BETWEEN + rb"(\d+)" + _BETWEEN + rb"(\d+)" + _BETWEEN + rb"(\d+)\s")
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_TIFF_NUMBERS = {3: "H", 4: "I"}
#: Tags of a TIFF: size, and places and lengths of strips or of tiles.
_WIDTH, _HEIGHT = 256, 257
_PARTS = ((273, 279), (324, 325))


def check_file_end(data: bytes) -> tuple[int, int] | None:
    """Check that an image file has its end; return (H, W) in pixels where the header gives them.

    Other formats than those above pass.

    Raises:
        HeaderError: The file is cut off, or its header is damaged. The message has no subject.
    """
    check = next((each for start, each in _CHECKS.items() if data.startswith(start)), None)
    if check is None:
        return None
    try:
        return check(data)
    except (struct.error, IndexError) as error:
        raise HeaderError("is cut off") from error


def _bmp(data: bytes) -> tuple[int, int] | None:
    (place,) = struct.unpack_from("<I", data, 10)
    (header,) = struct.unpack_from("<I", data, 14)
    if header < 40:  # OS/2
        return None
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)
    row = (bits * width + 31) // 32 * 4
    _check_length(data, place + (row * height if compression in _PLAIN_BMP else 1))
    return height, width


def _pnm(data: bytes) -> tuple[int, int] | None:
    found = (_PBM if data.startswith(b"P4") else _PNM).match(data[:4096])
    if found is None:
        return None
    width, height = int(found[1]), int(found[2])
    if data.startswith(b"P4"):
        row = (width + 7) // 8
    else:
        row = width * (3 if data.startswith(b"P6") else 1) * (2 if int(found[3]) > 255 else 1)
    _check_length(data, found.end() + row * height)
    return height, width


def _webp(data: bytes) -> None:
    if data[8:12] == b"WEBP":
        _check_length(data, 8 + struct.unpack_from("<I", data, 4)[0])


def _gif(data: bytes) -> tuple[int, int]:
    """Go through the blocks to the trailer, or to the end where a writer has left it out."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while place < len(data) and (kind := data[place]) != 0x3B:
        if kind == 0x2C:
            flags = data[place + 9]
            place += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        elif kind == 0x21:
            place += 2
        else:
            raise HeaderError("is damaged")
        while length := data[place]:
            place += 1 + length
        place += 1
    _check_length(data, place)
    return height, width


def _tiff(data: bytes) -> tuple[int, int]:
    """Look for the parts of the first image in the file; they may lie anywhere."""
    order = _TIFF[data[:4]]
    (place,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, place)
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
        if kind in _TIFF_NUMBERS and (tag in (_WIDTH, _HEIGHT) or any(tag in both for both in _PARTS)):
            form = f"{order}{length}{_TIFF_NUMBERS[kind]}"
            _check_length(data, size := struct.calcsize(form))
            start = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
            tags[tag] = struct.unpack_from(form, data, start)
    for places, lengths in _PARTS:
        for start, length in zip(tags.get(places, ()), tags.get(lengths, ()), strict=False):
            _check_length(data, start + length)
    if not (tags.get(_WIDTH) and tags.get(_HEIGHT)):
        raise HeaderError("is damaged: it has no size")
    return tags[_HEIGHT][0], tags[_WIDTH][0]


def _jp2(data: bytes) -> None:
    """Go through the boxes; the codestream may take what is left."""
    place = 0
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, place + 8)
        end = place + length if length else len(data)
        _check_length(data, end)
        if kind == b"jp2c" and not data[place:end].endswith(b"\xff\xd9"):
            raise HeaderError("is cut off")
        place = max(end, place + 8)


def _check_length(data: bytes, length: int) -> None:
    if len(data) < length:
        raise HeaderError("is cut off")


_CHECKS: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    b"BM": _bmp,
    **{f"P{kind}".encode(): _pnm for kind in (4, 5, 6)},
    b"RIFF": _webp,
    b"GIF87a": _gif,
    b"GIF89a": _gif,
    **dict.fromkeys(_TIFF, _tiff),
    b"\0\0\0\x0cjP  ": _jp2,
}
