# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG: sizes against Pillow's reading, and what a few bytes may cost before they are refused."""

import array
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from sensor_msgs.msg import CompressedImage

from evitsam_ros.encodings import MAX_PIXELS, ImageError, compressed_to_frame
from evitsam_ros.picture_header import MOST_SCANS, HeaderError, picture_size

from .damaged_pictures import jpeg_of_many_scans, jpeg_of_size, png, turned_jpeg


def encoded(shape: tuple[int, ...], kind: str = "JPEG", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = io.BytesIO()
    Pillow.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


def message(data: bytes) -> CompressedImage:
    return CompressedImage(format="jpeg", data=array.array("B", data))


def peak_mb() -> float:
    """The most memory that this process has held since :func:`forget_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (301, 8, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "PNG"},
        {},
        {"progressive": True},
        {"quality": 1, "optimize": True},
        {"exif": Pillow.Exif()},
        {"comment": b"\xff\xc0 no frame \xff\xd8" * 9},
    ],
)
def test_size_is_what_pillow_reads(shape, options):
    data = encoded(shape, **options)
    assert picture_size(data) == Pillow.open(io.BytesIO(data)).size[::-1] == shape[:2]
    assert compressed_to_frame(message(data)).size == shape[:2]


def test_the_emptiest_pictures_are_taken():
    """What encoders make of one colour is the most that bytes can stand for."""
    for kind, mode in (("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "1"), ("PNG", "L")):
        data = io.BytesIO()
        Pillow.new(mode, (2048, 2048)).save(data, kind, quality=1, optimize=True, progressive=True)
        assert picture_size(data.getvalue()) == (2048, 2048)


BOMBS = {
    "JPEG of 65500 x 65500": (
        lambda: jpeg_of_size(encoded((96, 128, 3)), 65500, 65500),
        "cannot hold the 65500x",
    ),
    "JPEG of 16000 x 16000": (
        lambda: jpeg_of_size(encoded((96, 128, 3)), 16000, 16000),
        "cannot hold the 16000x",
    ),
    "PNG of 2 ** 31 x 2 ** 31": (lambda: png(2**31 - 1, 2**31 - 1), "cannot hold the 2147483647x"),
    "PNG with a chunk of 3 GB": (lambda: png(97, 13)[:33] + b"\xd0\0\0\0IDAT", "is cut off"),
    "whole PNG of 16000 x 5000": (
        lambda: cv2.imencode(".png", np.zeros((5000, 16000), np.uint8))[1].tobytes(),
        f"image is 16000x5000; expected at most {MAX_PIXELS} pixels",
    ),
    "five hundred scans": (
        lambda: jpeg_of_many_scans(encoded((96, 128, 3), progressive=True), 500),
        f"scans, {MOST_SCANS} are allowed",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_before_it_is_decoded(name):
    make, text = BOMBS[name]
    bomb = message(make())
    forget_peak()
    before = peak_mb()
    with pytest.raises(ImageError, match=text):
        compressed_to_frame(bomb)
    cost = peak_mb() - before
    print(f"{name}: {len(bomb.data)} bytes, refused for {cost:.1f} MB")
    assert cost < 5


def test_a_picture_is_not_turned_as_exif_asks():
    data = turned_jpeg(encoded((30, 70, 3)), 6)
    assert Pillow.open(io.BytesIO(data)).getexif()[0x112] == 6
    assert compressed_to_frame(message(data)).size == (30, 70)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x11\x08", b"GIF89a" * 9]
)
def test_no_header(data):
    with pytest.raises(HeaderError, match="cannot be decoded"):
        picture_size(data)
