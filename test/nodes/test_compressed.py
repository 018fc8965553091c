# SPDX-License-Identifier: Apache-2.0
"""JPEG, PNG and TIFF as image_transport writes them; sizes against Pillow's reading, and what a few bytes may
cost before they are refused.
"""

import array
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from sensor_msgs.msg import CompressedImage, Image

from evitsam_ros.io.compressed_image import image_size
from evitsam_ros.io.encodings import MAX_PIXELS, ImageError, compressed_to_frame
from evitsam_ros.io.image_header import MAX_SCANS, HeaderError, encoded_image_size

from ..io.damaged_images import bayer, damage_image, jpeg_of_many_scans, jpeg_of_size, png, turned_jpeg
from .usage import forget_peak, peak_mb


def encoded(shape: tuple[int, ...], kind: str = "JPEG", **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = io.BytesIO()
    Pillow.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


def message(data: bytes, form: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=form, data=array.array("B", data))


def packed(pixels: np.ndarray, codec: str) -> bytes:
    """What OpenCV writes of channels in its order, as image_transport does."""
    return cv2.imencode(codec, pixels)[1].tobytes()


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """A smooth colour image from black to white, ``(H, W, 3)`` uint8."""
    ys, xs = np.mgrid[:64, :96]
    planes = [xs * 2.7, ys * 4.1, 255 - xs * 1.3 - ys * 2.05]
    return np.stack(planes, -1).round().clip(0, 255).astype(np.uint8)


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
        {"kind": "TIFF"},
        {"kind": "TIFF", "compression": "tiff_lzw"},
        {"kind": "TIFF", "compression": "tiff_deflate", "big_tiff": False},
    ],
)
def test_size_agrees_with_pillow(shape, options):
    data = encoded(shape, **options)
    assert encoded_image_size(data) == Pillow.open(io.BytesIO(data)).size[::-1] == shape[:2]
    assert compressed_to_frame(message(data)).size == shape[:2]


def test_nearly_empty_images_are_accepted():
    """What encoders make of one colour is the most that bytes can stand for."""
    for kind, mode in (("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "1"), ("PNG", "L"), ("TIFF", "L")):
        data = io.BytesIO()
        smallest = {"quality": 1, "optimize": True, "progressive": True}
        options = {"compression": "tiff_lzw"} if kind == "TIFF" else smallest
        Pillow.new(mode, (2048, 2048)).save(data, kind, **options)
        assert encoded_image_size(data.getvalue()) == (2048, 2048)


def tiff_of_size(width: int, height: int, bits: int = 8, extra: tuple[tuple[int, int], ...] = ()) -> bytes:
    """A TIFF of nothing that claims a size."""
    tags = sorted([(256, width), (257, height), (258, bits), (259, 5), (277, 1), (278, height), *extra])
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(100)


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
    "TIFF of 16000 x 16000": (lambda: tiff_of_size(16000, 16000), "cannot hold the 16000x16000 pixels"),
    "TIFF of tiles": (lambda: tiff_of_size(96, 96, extra=((322, 2**31),)), "is a TIFF with tiles"),
    "TIFF of one bit": (lambda: tiff_of_size(96, 96, bits=1), "is a TIFF of fewer than 8 bits"),
    "TIFF with a directory behind its end": (lambda: b"II*\0\xff\xff\xff\xff" + bytes(200), "is cut off"),
    "five hundred scans": (
        lambda: jpeg_of_many_scans(encoded((96, 128, 3), progressive=True), 500),
        f"scans; expected at most {MAX_SCANS}",
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


def test_exif_rotation_is_ignored():
    data = turned_jpeg(encoded((30, 70, 3)), 6)
    assert Pillow.open(io.BytesIO(data)).getexif()[0x112] == 6
    assert compressed_to_frame(message(data)).size == (30, 70)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x11\x08", b"GIF89a" * 9]
)
def test_no_header(data):
    with pytest.raises(HeaderError, match="cannot be decoded"):
        encoded_image_size(data)


COLOURS = ("rgb8", "bgr8", "rgba8", "bgra8")


@pytest.mark.parametrize("encoding", COLOURS)
@pytest.mark.parametrize("codec", ["jpeg", "png", "tiff"])
def test_colours_as_image_transport_writes_them(rgb, encoding, codec):
    """JPEG and PNG are converted to bgr8 before; TIFF takes the channels as they are."""
    alpha = np.full((*rgb.shape[:2], 1), 77, np.uint8)
    channels = rgb if encoding.startswith("rgb") else rgb[..., ::-1]
    own = np.concatenate([channels, alpha], -1) if encoding.endswith("a8") else channels
    target = "" if codec == "tiff" else "bgr8"
    given = own if codec == "tiff" else rgb[..., ::-1]
    data = packed(np.ascontiguousarray(given), f".{codec}")
    image = compressed_to_frame(message(data, f"{encoding}; {codec} compressed {target}")).image
    np.testing.assert_allclose(image, rgb, atol=25 if codec == "jpeg" else 0)


def test_colours_have_the_order_of_the_format(rgb):
    """Files of other publishers are in the order of their format; old plugins swapped it, and said so."""
    data = packed(np.ascontiguousarray(rgb[..., ::-1]), ".png")
    for form in ("png", "rgb8; png", "rgb8; png compressed ", "", "%s"):
        np.testing.assert_array_equal(compressed_to_frame(message(data, form)).image, rgb)
    data = packed(rgb, ".png")
    np.testing.assert_array_equal(compressed_to_frame(message(data, "rgb8; png compressed rgb8")).image, rgb)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("ending", [" png compressed ", " png compressed", "png compressed bayer_{}"])
def test_mosaics_are_demosaiced(rgb, pattern, bits, ending):
    mosaic = bayer(rgb, pattern)
    if bits == 16:
        mosaic = mosaic.astype(np.uint16) * 16
    encoding = f"bayer_{pattern}{bits}"
    form = f"{encoding};{ending.format(pattern + str(bits))}"
    image = compressed_to_frame(message(packed(mosaic, ".png"), form)).image
    difference = np.abs(image.astype(int) - rgb)[2:-2, 2:-2]
    assert difference.max() <= 14


def test_demosaiced_images_are_not_demosaiced_again(rgb):
    """As JPEG, image_transport writes a mosaic in grey; others write it in colour."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    image = compressed_to_frame(message(packed(grey, ".jpg"), "bayer_rggb8; jpeg compressed mono8")).image
    assert np.abs(image.astype(int) - grey[..., None]).max() <= 12
    data = packed(np.ascontiguousarray(rgb[..., ::-1]), ".png")
    for target in ("bgr8", ""):
        form = f"bayer_rggb8; png compressed {target}"
        np.testing.assert_array_equal(compressed_to_frame(message(data, form)).image, rgb)


def test_a_mosaic_that_cannot_be_is_named(rgb):
    data = packed(rgb[..., 0], ".png")
    with pytest.raises(ImageError, match="'bayer_xyz8'; expected bayer_ and one of rggb, bggr, gbrg, grbg"):
        compressed_to_frame(message(data, "bayer_xyz8; png compressed "))
    with pytest.raises(ImageError, match="expected at least 2x2"):
        compressed_to_frame(message(packed(rgb[:1, :, 0], ".png"), "bayer_rggb8; png compressed "))


@pytest.mark.parametrize(("encoding", "codec"), [("mono16", "png"), ("16UC1", "png"), ("mono16", "tiff")])
@pytest.mark.parametrize(("low", "scale"), [(0, 4), (0, 257), (7000, 2)])
def test_sixteen_bits_are_as_bright_as_the_raw_topic(rgb, encoding, codec, low, scale):
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    values = grey.astype(np.uint16) * scale + low
    made = message(packed(values, f".{codec}"), f"{encoding}; {codec} compressed ")
    black, white = np.percentile(grey, (0.5, 99.5))
    expected = np.clip((grey - black) * 255 / (white - black), 0, 255)
    np.testing.assert_allclose(compressed_to_frame(made).image, np.dstack([expected] * 3), atol=1.001)
    limits = (float(low), low + 255.0 * scale)
    np.testing.assert_array_equal(compressed_to_frame(made, limits).image, np.dstack([grey] * 3))


def test_sixteen_bit_colours_and_floats(rgb):
    values = np.ascontiguousarray(rgb[..., ::-1]).astype(np.uint16) * 200
    made = message(packed(values, ".png"), "rgb16; png compressed bgr16")
    np.testing.assert_allclose(
        compressed_to_frame(made).image, np.clip(rgb * 255.0 / np.percentile(rgb, 99.5), 0, 255), atol=1.001
    )
    warm = np.full((40, 60), 20.5, np.float32)
    warm[:, 30:], warm[0, 0] = 31.5, np.nan
    image = compressed_to_frame(message(packed(warm, ".tiff"), "32FC1; tiff compressed ")).image
    assert (image[:, 30:] == 255).all() and not image[:, :30].any()


def test_size_without_decoding(rgb):
    for codec in (".jpg", ".png", ".tiff"):
        assert image_size(message(packed(rgb, codec))) == (64, 96)
    assert image_size(Image(height=3, width=5)) == (3, 5)
    with pytest.raises(ImageError, match="cannot be decoded"):
        image_size(message(b"GIF89a"))


def test_damaged_tiffs_are_rejected_or_decoded():
    rng, seen = np.random.default_rng(5), {True: 0, False: 0}
    for _ in range(400):
        pixels = rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)
        try:
            compressed_to_frame(message(damage_image(rng, packed(pixels, ".tiff")), "rgb8; tiff compressed "))
        except ImageError:
            seen[False] += 1
        else:
            seen[True] += 1
    assert min(seen.values()) > 20
