# SPDX-License-Identifier: Apache-2.0
"""JPEGs, PNGs and TIFFs that are not what they say."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Rng = np.random.Generator

SIDES = (1, 2, 3, 5, 11, 12, 13, 64, 97, 128)


def pick(rng: Rng, values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def png(width: int, height: int, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever its data hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_of_size(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    place = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:place] + struct.pack(">HH", height & 65535, width & 65535) + jpeg[place + 4 :]


def turned_jpeg(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG whose EXIF data ask for a turn."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff + jpeg[2:]


def jpeg_of_many_scans(jpeg: bytes, scans: int) -> bytes:
    """A progressive JPEG that sends its last scan again and again."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * scans + b"\xff\xd9"


def valid_image(rng: Rng) -> bytes:
    """A JPEG, PNG or TIFF of noise: grey, colour, transparent, 8 or 16 bits, progressive."""
    shape = (pick(rng, SIDES), pick(rng, SIDES))
    channels, kind = pick(rng, ((1, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16), (1, np.uint16)))
    pixels = rng.integers(0, np.iinfo(kind).max, (*shape, channels), dtype=kind)
    if rng.random() < 0.2:
        return cv2.imencode(".tiff", pixels)[1].tobytes()
    if kind is np.uint16 or channels == 4 or rng.random() < 0.5:
        return cv2.imencode(".png", pixels)[1].tobytes()
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(rng.integers(2))])[1].tobytes()


def damage_image(rng: Rng, data: bytes) -> bytes:
    """The same with flipped bytes, another size in its header, a part missing, or something else."""
    side = (0, 1, 97, 16384, 16385, 65500, 2**31 - 1)

    def flip() -> bytes:
        changed = bytearray(data)
        for place in rng.integers(0, max(len(data), 1), int(rng.integers(1, 8))) if data else ():
            changed[place] = int(rng.integers(256))
        return bytes(changed)

    def claim() -> bytes:
        size = pick(rng, side), pick(rng, side)
        is_jpeg = data.startswith(b"\xff\xd8") and (b"\xff\xc0" in data or b"\xff\xc2" in data)
        return jpeg_of_size(data, *size) if is_jpeg else png(*size, data=data[41:-16])

    damages: tuple[Callable[[], bytes], ...] = (
        flip,
        flip,
        claim,
        claim,
        lambda: data[: int(rng.integers(0, len(data) + 1))],
        lambda: data + bytes(100),
        lambda: b"",
        lambda: rng.integers(0, 256, 300, dtype=np.uint8).tobytes(),
        lambda: turned_jpeg(data, int(rng.integers(0, 10))) if data.startswith(b"\xff\xd8") else data,
        lambda: png(pick(rng, side), pick(rng, side), pick(rng, (1, 8, 16, 7)), pick(rng, (0, 2, 3, 6, 1))),
        lambda: cv2.imencode(pick(rng, (".bmp", ".tiff", ".webp")), np.zeros((9, 7, 3), np.uint8))[
            1
        ].tobytes(),
    )
    return pick(rng, damages)()


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor with this pattern (first row, second row) sees."""
    channel = {"r": 0, "g": 1, "b": 2}
    raw = np.empty(rgb.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        raw[index // 2 :: 2, index % 2 :: 2] = rgb[index // 2 :: 2, index % 2 :: 2, channel[colour]]
    return raw
