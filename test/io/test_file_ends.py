# SPDX-License-Identifier: Apache-2.0
"""Sizes and ends of image files, as Pillow and OpenCV write them."""

import io
import struct

import cv2
import numpy as np
import PIL.Image as Pillow
import pytest

from evitsam_ros.io.file_ends import check_file_end
from evitsam_ros.io.image_files import ImageFileError, read_image
from evitsam_ros.io.image_header import HeaderError

#: Format of Pillow, its options, and whether the header gives the size.
WRITTEN = {
    "bmp": ("BMP", {}, True),
    "grey bmp": ("BMP", {"mode": "L"}, True),
    "bitmap bmp": ("BMP", {"mode": "1"}, True),
    "ppm": ("PPM", {}, True),
    "pgm": ("PPM", {"mode": "L"}, True),
    "pbm": ("PPM", {"mode": "1"}, True),
    "webp": ("WEBP", {}, False),
    "lossless webp": ("WEBP", {"lossless": True}, False),
    "gif": ("GIF", {}, True),
    "tif": ("TIFF", {}, True),
    "lzw tif": ("TIFF", {"compression": "tiff_lzw"}, True),
    "fax tif": ("TIFF", {"mode": "1", "compression": "group4"}, True),
    "jp2": ("JPEG2000", {}, False),
}


@pytest.fixture(scope="module")
def rgb(photograph):
    return photograph[:122, :163]


def written(rgb, name: str) -> bytes:
    form, options, _ = WRITTEN[name]
    options = dict(options)
    image = Pillow.fromarray(rgb).convert(options.pop("mode", "RGB"))
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_whole_file_passes_with_the_size_of_its_header(rgb, name):
    assert check_file_end(written(rgb, name)) == ((122, 163) if WRITTEN[name][2] else None)


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_part_of_a_file_is_cut_off(rgb, name, share):
    data = written(rgb, name)
    with pytest.raises(HeaderError, match="is cut off"):
        check_file_end(data[: max(12, int(share * len(data)))])


@pytest.mark.parametrize("ending", [".bmp", ".tiff", ".webp", ".ppm", ".pgm", ".jp2", ".gif"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_opencv_writes_passes(rgb, ending, kind):
    pixels = rgb.astype(kind) * (1 if kind is np.uint8 else 257)
    pixels = pixels[..., 0] if ending == ".pgm" else pixels
    if kind is np.uint16 and ending in (".bmp", ".webp", ".gif"):
        pytest.skip("8 bits only")
    good, data = cv2.imencode(ending, pixels)
    assert good and check_file_end(data.tobytes()) in (None, (122, 163))


def test_an_animation_of_several_frames_passes(rgb):
    file, frames = io.BytesIO(), [Pillow.fromarray(np.roll(rgb, n, 1)) for n in range(4)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], loop=0)
    data = file.getvalue()
    assert (
        check_file_end(data) == check_file_end(data[:-1]) == (122, 163)
    )  # some writers leave the trailer out


def test_other_formats_pass():
    assert check_file_end(b"") is check_file_end(b"\xff\xd8\xff") is check_file_end(b"BX123") is None


@pytest.mark.parametrize(("name", "place", "form"), [("gif", 6, "<HH"), ("bmp", 18, "<ii")])
def test_a_size_that_does_not_fit_into_memory_is_rejected_before_it_is_allocated(
    rgb, tmp_path, name, place, form
):
    data = bytearray(written(rgb, name))
    struct.pack_into(form, data, place, 60_000, 60_000)
    path = tmp_path / f"huge.{name}"
    path.write_bytes(data)
    with pytest.raises(ImageFileError, match=rf"huge\.{name} (is cut off|is 60000x60000); expected"):
        read_image(path)
