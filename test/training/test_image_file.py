# SPDX-License-Identifier: Apache-2.0
"""Image files that are damaged, cut off, huge, or no images."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from training.image_file import is_whole_jpeg, read_rgb

PHOTO = data.astronaut()[:256, :320]
SIZE = PHOTO.shape[:2]


def encoded(suffix: str, **options) -> bytes:
    written = io.BytesIO()
    Image.fromarray(PHOTO).save(written, suffix, **options)
    return written.getvalue()


KINDS = {
    "jpeg": ("jpeg", {"quality": 90}),
    "progressive": ("jpeg", {"quality": 90, "progressive": True}),
    "restarts": ("jpeg", {"quality": 90, "restart_marker_rows": 1}),
    "preview": ("jpeg", {"quality": 90, "comment": encoded("jpeg", quality=5)}),
    "png": ("png", {}),
    "bmp": ("bmp", {}),
    "tiff": ("tiff", {}),
    "webp": ("webp", {"lossless": True}),
    "ppm": ("ppm", {}),
}


@pytest.mark.parametrize("kind, options", KINDS.values(), ids=KINDS)
def test_a_whole_image_is_read_and_a_cut_one_is_not(tmp_path, kind, options):
    whole = encoded(kind, **options)
    file = tmp_path / "image"
    file.write_bytes(whole)
    found = read_rgb(file, SIZE)
    np.testing.assert_array_equal(found, read_rgb(whole, SIZE))
    np.testing.assert_allclose(found.astype(int), PHOTO, atol=0 if "jpeg" not in kind else 90)
    assert np.abs(found.astype(int) - PHOTO).mean() < 4
    for share in (0.0, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99):
        file.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match="cannot be read as an image"):
            read_rgb(file, SIZE)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_rest_is_zeros_is_cut_off(progressive):
    whole = encoded("jpeg", progressive=progressive)
    half = whole[: len(whole) // 2].ljust(len(whole), b"\x00")
    assert is_whole_jpeg(whole) and is_whole_jpeg(whole + b"more") and not is_whole_jpeg(half)
    with pytest.raises(ValueError, match=f"it is cut off \\({len(whole)} bytes\\)"):
        read_rgb(half, SIZE)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "webp"])
def test_another_size_is_found_before_the_image_is_decoded(kind, monkeypatch):
    whole = encoded(kind)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"is 320x256, its annotations say 321x256"):
        read_rgb(whole, (256, 321))


def test_a_turn_that_exif_asks_for_is_done():
    turned = Image.Exif()
    turned[0x0112] = 6
    whole = encoded("jpeg", exif=turned)
    assert read_rgb(whole, SIZE[::-1]).shape == (320, 256, 3)
    with pytest.raises(ValueError, match="is 256x320, its annotations say 320x256"):
        read_rgb(whole, SIZE)


def test_what_is_no_file_or_no_image_is_named(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(ValueError, match=f"cannot be read as an image \\({path}"):
            read_rgb(path, SIZE)
    for content in (b"", b"text", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n", b"BM", bytes(1000)):
        with pytest.raises(ValueError, match="cannot be read as an image"):
            read_rgb(content, SIZE)
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="has 1099511627776 bytes; expected at most"):
        read_rgb(large, SIZE)
