# SPDX-License-Identifier: Apache-2.0
"""Images of every kind are read as an independent reader (Pillow) sees them, or rejected by their names."""

import cv2
import numpy as np
import PIL.Image as Pillow
import pytest

from evitsam_ros.io.image_files import MAX_PIXELS, ImageFileError, check_image_ending, read_image, write_image

from .damaged_images import png


@pytest.fixture(scope="module")
def rgb(photograph):
    return photograph[:120, :160]


@pytest.mark.parametrize(
    "name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.webp", "caf\udce9.png", "100%.png", "a:b.png"]
)
def test_images_are_read_with_any_suffix_and_name(tmp_path, rgb, name):
    options = {"lossless": True} if name.endswith(".webp") else {}
    with (tmp_path / name).open("wb") as file:
        Pillow.fromarray(rgb).save(
            file, format=None if options else Pillow.registered_extensions()[name[-4:]], **options
        )
    np.testing.assert_array_equal(read_image(tmp_path / name)[..., ::-1], rgb)


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "1"])
def test_images_are_read_in_any_colour_space(tmp_path, rgb, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image = Pillow.fromarray(rgb).convert(mode)
    image.save(path, **({"quality": 95} if mode == "CMYK" else {}))
    expected = np.asarray(image.convert("RGB"))
    difference = np.abs(read_image(path)[..., ::-1].astype(int) - expected).mean()
    assert difference < (6 if mode == "CMYK" else 0.01)


def test_exif_turns_an_image_as_viewers_do(tmp_path, rgb):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    Pillow.fromarray(rgb).save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = read_image(tmp_path / "a.jpg")[..., ::-1]
    assert turned.shape == (160, 120, 3)
    assert np.abs(turned.astype(int) - np.rot90(rgb, -1)).mean() < 4


def test_16_bits_use_all_of_8(tmp_path, rgb):
    """A thermal camera's few hundred steps are not a black image."""
    grey = rgb[..., 1].astype(np.uint16)
    cv2.imwrite(str(tmp_path / "thermal.png"), grey * 3 + 29000)
    low, high = grey.min(), grey.max()
    expected = (grey - float(low)) * 255 / (high - float(low))
    np.testing.assert_allclose(read_image(tmp_path / "thermal.png")[..., 0], expected, atol=0.51)
    cv2.imwrite(str(tmp_path / "colours.tif"), rgb[..., ::-1].astype(np.uint16) * 257)
    expected = rgb * (255.0 / rgb.max())
    np.testing.assert_allclose(read_image(tmp_path / "colours.tif")[..., ::-1], expected, atol=0.51)
    cv2.imwrite(str(tmp_path / "even.png"), np.full((4, 4), 777, np.uint16))
    assert read_image(tmp_path / "even.png").max() == 0


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".tif", ".webp", ".gif"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_part_of_an_image_is_none(tmp_path, rgb, ending, share):
    path = tmp_path / f"cut{ending}"
    data = cv2.imencode(ending, rgb)[1].tobytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(
        ImageFileError, match=rf"cut\{ending} (is cut off|cannot be decoded); expected a complete image"
    ):
        read_image(path)


def test_files_that_are_not_images_are_named(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello " * 50)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "float.tif").write_bytes(cv2.imencode(".tif", np.ones((4, 4), np.float32))[1].tobytes())
    side = int(MAX_PIXELS**0.5) + 1
    (tmp_path / "huge.png").write_bytes(png(side, side) + bytes(side * side // 8000))
    for name, words in {
        "empty.jpg": "is empty",
        "text.jpg": "cannot be decoded",
        "folder.jpg": "Is a directory",
        "nowhere.jpg": "No such file",
        "float.tif": "cannot be decoded",
        "huge.png": "expected",
    }.items():
        with pytest.raises(ImageFileError, match=rf"{name}.* {words}"):
            read_image(tmp_path / name)


def test_images_are_written_in_the_format_of_their_suffix(tmp_path, rgb):
    for name in ("a.png", "caf\udce9.PNG"):
        write_image(tmp_path / name, rgb)
        with (tmp_path / name).open("rb") as file:
            np.testing.assert_array_equal(np.asarray(Pillow.open(file))[..., ::-1], rgb)


@pytest.mark.parametrize("name", ["result", "result.xyz", "result.txt", "result.p\udce9"])
def test_suffixes_without_a_writer_are_rejected(tmp_path, rgb, name):
    with pytest.raises(ImageFileError, match=r"expected one that OpenCV writes, as \.png or \.jpg"):
        check_image_ending(tmp_path / name)
    with pytest.raises(ImageFileError):
        write_image(tmp_path / name, rgb)
    assert not list(tmp_path.iterdir())


def test_an_image_too_large_for_its_kind_is_named(tmp_path):
    with pytest.raises(ImageFileError, match=r"a\.webp cannot be encoded"):
        write_image(tmp_path / "a.webp", np.zeros((2, 20000, 3), np.uint8))
