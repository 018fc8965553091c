# SPDX-License-Identifier: Apache-2.0
"""A JPEG or PNG that is not whole is found out by its bytes, whatever a decoder would make of it."""

import io

import cv2
import numpy as np
import PIL.Image as Pillow
import pytest

from evitsam_ros.io.image_header import HeaderError, encoded_image_size


def encoded(kind: str, size: tuple[int, int] = (96, 64), **options) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    data = io.BytesIO()
    Pillow.fromarray(pixels).save(data, kind, **options)
    return data.getvalue()


def with_thumbnail(image: bytes, thumbnail: bytes) -> bytes:
    """A JPEG with another one inside an application segment, as cameras write them."""
    segment = b"Exif\0\0" + thumbnail
    return image[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + image[2:]


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_jpeg_without_its_end_is_cut_off(options, share):
    complete = encoded("JPEG", **options)
    assert encoded_image_size(complete) == (64, 96)
    with pytest.raises(HeaderError, match="is cut off"):
        encoded_image_size(complete[: int(len(complete) * share)])


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image():
    image = with_thumbnail(encoded("JPEG"), encoded("JPEG", (16, 16)))
    assert encoded_image_size(image) == (64, 96)
    assert cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (64, 96)
    with pytest.raises(HeaderError, match="is cut off"):
        encoded_image_size(image[:-50])


def test_data_after_the_end_marker_are_ignored():
    """Phones append a video to a photograph: its bytes look like anything."""
    assert encoded_image_size(encoded("JPEG") + b"\xff\xda" * 100) == (64, 96)


def test_a_png_without_its_end_is_cut_off():
    complete = encoded("PNG")
    assert encoded_image_size(complete) == (64, 96)
    with pytest.raises(HeaderError, match="is cut off"):
        encoded_image_size(complete[:-1])
