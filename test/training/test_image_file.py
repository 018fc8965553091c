# SPDX-License-Identifier: Apache-2.0
"""Image files that are damaged, cut off, huge, or no images."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from training.image_file import is_complete_jpeg, read_rgb

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
def test_complete_images_are_read_and_truncated_ones_rejected(tmp_path, kind, options):
    complete = encoded(kind, **options)
    file = tmp_path / "image"
    file.write_bytes(complete)
    found = read_rgb(file, SIZE)
    np.testing.assert_array_equal(found, read_rgb(complete, SIZE))
    np.testing.assert_allclose(found.astype(int), PHOTO, atol=0 if "jpeg" not in kind else 90)
    assert np.abs(found.astype(int) - PHOTO).mean() < 4
    for share in (0.0, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99):
        file.write_bytes(complete[: int(len(complete) * share)])
        with pytest.raises(ValueError, match="cannot be read as an image"):
            read_rgb(file, SIZE)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_trailing_zeros_is_truncated(progressive):
    complete = encoded("jpeg", progressive=progressive)
    half = complete[: len(complete) // 2].ljust(len(complete), b"\x00")
    assert is_complete_jpeg(complete) and is_complete_jpeg(complete + b"more") and not is_complete_jpeg(half)
    with pytest.raises(ValueError, match=f"it is cut off \\({len(complete)} bytes\\)"):
        read_rgb(half, SIZE)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "webp"])
def test_another_size_is_found_before_the_image_is_decoded(kind, monkeypatch):
    complete = encoded(kind)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"is 320x256, its annotations say 321x256"):
        read_rgb(complete, (256, 321))


def test_exif_rotation_is_applied():
    turned = Image.Exif()
    turned[0x0112] = 6
    complete = encoded("jpeg", exif=turned)
    assert read_rgb(complete, SIZE[::-1]).shape == (320, 256, 3)
    with pytest.raises(ValueError, match="is 256x320, its annotations say 320x256"):
        read_rgb(complete, SIZE)


def test_missing_files_and_other_content_are_named(tmp_path):
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
