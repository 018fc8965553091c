# SPDX-License-Identifier: Apache-2.0
"""Read the size of a JPEG, PNG or TIFF from its header, and check the file, before it is decoded.

A few hundred bytes can make a decoder allocate gigabytes or run for minutes.
"""

from __future__ import annotations

import struct

_SOI, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
#: Markers of a JPEG that begin a frame (its size follows), and those that stand alone.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset([0x01, *range(0xD0, 0xD9)])
_END, _SCAN = 0xD9, 0xDA
#: Pixels that a byte can stand for. JPEG: a bit for a block of 8 x 8, of which strange sampling needs one for
#: two; PNG: deflate's 1032 : 1, eight pixels a byte; TIFF: LZW's 4096 bytes for a code of twelve bits.
_PIXELS_A_BYTE = {"JPEG": 1024, "PNG": 8 * 1032, "TIFF": 2731}
#: Maximum number of scans of a progressive JPEG. Encoders write about ten; each costs as much as the image.
MAX_SCANS = 64
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
#: Tags of a TIFF; types of their numbers; compressions that OpenCV and image_transport write.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES, _TILES = 256, 257, 258, 259, 277, 322
_NUMBERS = {3: "H", 4: "I"}
_PLAIN, _COMPRESSIONS = 1, {1, 5, 8, 32773, 32946}


class HeaderError(ValueError):
    """Report data that are not a JPEG, PNG or TIFF, or have an invalid header."""


def encoded_image_size(data: bytes) -> tuple[int, int]:
    """Return (H, W) in pixels of a JPEG, PNG or TIFF, from its header alone.

    Raises:
        HeaderError: The data are of another format, cut off, or too short for their size. The message has no
            subject: the caller names the file.
    """
    if data.startswith(_SOI):
        kind, (height, width) = "JPEG", _jpeg_size(data)
    elif data.startswith(_PNG):
        kind, (height, width) = "PNG", _png_size(data)
    elif data[:4] in _TIFF:
        kind, (height, width) = "TIFF", _tiff_size(data)
    else:
        raise HeaderError("cannot be decoded")
    if height * width > len(data) * _PIXELS_A_BYTE[kind]:
        raise HeaderError(f"cannot hold the {width}x{height} pixels that it claims")
    return height, width


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Return (H, W) from the frame header, which follows any number of other segments.

    The end marker has to be there too: some decoders fill missing pixels with grey.
    """
    size, scan, place = None, None, 2
    while (place := data.find(b"\xff", place)) >= 0:
        while data[place : place + 1] == b"\xff":
            place += 1
        marker = data[place] if place < len(data) else _END
        place += 1
        if marker in (_END, _SCAN):
            scan = place if marker == _SCAN else None
            break
        if size is None and marker in _FRAMES and place + 7 <= len(data):
            size = _big_endian(data, place + 3), _big_endian(data, place + 5)
        if marker and marker not in _ALONE:
            place += _big_endian(data, place)
    if size is None:
        raise HeaderError("cannot be decoded")
    if scan is None or (end := data.find(bytes([0xFF, _END]), scan)) < 0:
        raise HeaderError("is cut off")
    # Other data may follow the end marker: another image, a video.
    if (scans := data.count(bytes([0xFF, _SCAN]), scan - 2, end)) > MAX_SCANS:
        raise HeaderError(f"has {scans} scans; expected at most {MAX_SCANS}")
    return size


def _big_endian(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 2], "big")


def _png_size(data: bytes) -> tuple[int, int]:
    """Return (H, W) from the first chunk; all chunks have to be complete."""
    place, kind = len(_PNG), b""
    while kind != b"IEND":
        kind = data[place + 4 : place + 8]
        place += 12 + int.from_bytes(data[place : place + 4], "big")
        if place > len(data):
            raise HeaderError("is cut off")
    if data[12:16] != b"IHDR":
        raise HeaderError("cannot be decoded")
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")


def _tiff_size(data: bytes) -> tuple[int, int]:
    """Return (H, W) from the first directory; tiles and fewer than 8 bits a channel are rejected."""
    order = _TIFF[data[:4]]
    try:
        (place,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, place)
        tags = {}
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(order + "HHI", data, entry)
            if kind in _NUMBERS:
                size = length * struct.calcsize(_NUMBERS[kind])
                value = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
                (tags[tag],) = struct.unpack_from(order + _NUMBERS[kind], data, value)
        height, width = tags[_HEIGHT], tags[_WIDTH]
    except (struct.error, KeyError) as error:
        raise HeaderError("is cut off") from error
    if tags.get(_COMPRESSION, _PLAIN) not in _COMPRESSIONS or _TILES in tags:
        raise HeaderError("is a TIFF with tiles or of an unknown compression")
    if tags.get(_BITS, 1) < 8 or tags.get(_SAMPLES, 1) > 4:
        raise HeaderError("is a TIFF of fewer than 8 bits or more than 4 channels")
    return height, width
