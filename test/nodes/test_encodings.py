# SPDX-License-Identifier: Apache-2.0
"""Every encoding against conversions of OpenCV, or of the definition, padded rows, byte orders."""

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from evitsam_ros.io.encodings import ImageError, image_to_frame
from evitsam_ros.io.pixel_layouts import ENCODINGS, PLANAR
from evitsam_ros.nodes.messages import image_message

from ..io.damaged_images import bayer

HEIGHT, WIDTH = 36, 50
GREYS = {"mono8": "u1", "8UC1": "u1", "8U": "u1"}
SCALED_GREYS = {
    **{"mono16": "u2", "16UC1": "u2", "16U": "u2", "16SC1": "i2"},
    **{"32SC1": "i4", "32FC1": "f4", "64FC1": "f8"},
}
SCALED_COLOURS = {
    **{"rgb16": "u2", "bgr16": "u2", "rgba16": "u2", "bgra16": "u2"},
    **{"16UC3": "u2", "16UC4": "u2", "32FC3": "f4"},
}
COLOURS = ["rgb8", "bgr8", "rgba8", "bgra8", "8UC3", "8UC4"]
PACKED_YUV = ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "yvyu"]
MOSAICS = [name for name in ENCODINGS if name.startswith("bayer")]


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """A smooth colour image with black and white: Bayer and YUV lose what is finer than two pixels."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    planes = [xs * 5.2, ys * 7.28, 255 - xs * 2.6 - ys * 3.64]
    return np.stack(planes, -1).round().clip(0, 255).astype(np.uint8)


def grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def yuv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, U and V by the definition of BT.601 (studio swing), ``(H, W)`` float."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    return y, u, v


def shared(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The mean of every block of so many pixels."""
    height, width = plane.shape
    return plane.reshape(height // rows, rows, width // columns, columns).mean((1, 3))


def rounded(plane: np.ndarray) -> np.ndarray:
    return plane.round().astype(np.uint8)


def yuv422(rgb: np.ndarray, order: str) -> np.ndarray:
    """Packed 4:2:2, ``(H, W, 2)``: four bytes for two pixels in the order of the letters."""
    y, u, v = yuv(rgb)
    parts = {"u": shared(u, 1, 2), "v": shared(v, 1, 2)}
    luma = iter((y[:, ::2], y[:, 1::2]))
    return np.stack([rounded(next(luma) if c == "y" else parts[c]) for c in order], -1)


def planar(rgb: np.ndarray, encoding: str) -> list[np.ndarray]:
    """Planes by V4L2's definition, each ``(rows, bytes)`` uint8."""
    y, u, v = yuv(rgb)
    rows, columns = {"2": (2, 2), "6": (1, 2), "4": (1, 1), "0": (2, 2)}[
        {"nv12": "2", "nv21": "2", "nv16": "6", "nv61": "6", "nv24": "4", "nv42": "4"}.get(encoding, "0")
    ]
    u, v = rounded(shared(u, rows, columns)), rounded(shared(v, rows, columns))
    if encoding in ("i420", "yv12"):
        return [rounded(y), *((u, v) if encoding == "i420" else (v, u))]
    pair = (u, v) if encoding in ("nv12", "nv16", "nv24") else (v, u)
    return [rounded(y), np.stack(pair, -1).reshape(len(u), -1)]


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> Image:
    pixels = np.ascontiguousarray(pixels)
    pixels = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<"))
    rows = pixels.reshape(HEIGHT, -1).view(np.uint8)
    rows = np.concatenate([rows, np.full((HEIGHT, padding), 255, np.uint8)], axis=1)
    made = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=rows.shape[1], is_bigendian=big)
    made.header.stamp.sec, made.header.frame_id = 7, "camera"
    made.data = array.array("B", rows.tobytes())
    return made


def planar_message(parts: list[np.ndarray], encoding: str, padding: int = 0) -> Image:
    """Rows of a plane are padded as its row is to the image's."""
    data = b""
    for part in parts:
        wide = np.full((len(part), (WIDTH + padding) * part.shape[1] // WIDTH), 255, np.uint8)
        wide[:, : part.shape[1]] = part
        data += wide.tobytes()
    made = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=WIDTH + padding)
    made.data = array.array("B", data)
    return made


def three(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, -1)


def coloured(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """The channels in the encoding's order, with alpha where it has one."""
    channels = rgb if encoding.startswith("rgb") else rgb[..., ::-1]
    alpha = np.full((*rgb.shape[:2], 1), 77, rgb.dtype)
    return np.concatenate([channels, alpha], -1) if "a" in encoding or encoding.endswith("4") else channels


def test_all_encodings_are_tested():
    tested = {*GREYS, *SCALED_GREYS, *COLOURS, *SCALED_COLOURS, *PACKED_YUV, *MOSAICS}
    assert set(ENCODINGS) <= tested


@pytest.mark.parametrize("padding", [0, 1, 14])
@pytest.mark.parametrize("encoding", COLOURS)
def test_eight_bit_colours(rgb, encoding, padding):
    frame = image_to_frame(message(coloured(rgb, encoding), encoding, padding))
    assert (frame.stamp, frame.frame_id) == (7.0, "camera")
    np.testing.assert_array_equal(frame.image, rgb)


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", GREYS)
def test_eight_bit_greys(rgb, encoding, padding):
    frame = image_to_frame(message(grey(rgb), encoding, padding))
    np.testing.assert_array_equal(frame.image, three(grey(rgb)))


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "kind"), SCALED_GREYS.items())
def test_greys_without_a_fixed_white(rgb, encoding, kind, big, padding):
    """By limits that are given, cv_bridge's rule; else by percentiles, wherever the values lie."""
    wanted = three(grey(rgb))
    largest = 32767 if kind == "i2" else 65535
    full = np.rint(grey(rgb) * (largest / 255)).astype(kind)
    made = message(full, encoding, padding, big)
    found = image_to_frame(made, (0.0, float(largest))).image
    by_opencv = cv2.convertScaleAbs(full.astype(float), alpha=255 / largest)
    np.testing.assert_allclose(found, three(by_opencv), atol=1)
    for low, scale in ((0, 4), (7000, 1), (100, 60)):
        narrow = (low + grey(rgb).astype(float) * scale).astype(kind)
        found = image_to_frame(message(narrow, encoding, padding, big)).image.astype(int)
        black, white = np.percentile(grey(rgb), (0.5, 99.5))
        expected = np.clip((wanted - black) * 255 / (white - black), 0, 255)
        np.testing.assert_allclose(found, expected, atol=1.001)
    given = image_to_frame(message(narrow, encoding, padding, big), (100.0, 100.0 + 255 * 60)).image
    np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "kind"), SCALED_COLOURS.items())
def test_colours_without_a_fixed_white_keep_their_hue(rgb, encoding, kind, big):
    for scale in (257, 16, 4):
        pixels = coloured(rgb.astype(kind) * np.array(scale, kind), encoding)
        made = message(pixels, encoding, 2 * (scale == 16), big)
        white = np.percentile(rgb, 99.5)
        expected = np.clip(rgb * (255 / white), 0, 255)
        np.testing.assert_allclose(image_to_frame(made).image, expected, atol=1.001)
        np.testing.assert_array_equal(image_to_frame(made, (0.0, 255.0 * scale)).image, rgb)


@pytest.mark.parametrize("encoding", MOSAICS)
@pytest.mark.parametrize("big", [False, True])
def test_mosaics(rgb, encoding, big):
    raw = bayer(rgb, encoding[6:10])
    bits16 = encoding.endswith("16")
    frame = image_to_frame(message(raw.astype("u2") * 16 if bits16 else raw, encoding, 2, big))
    difference = np.abs(frame.image.astype(int) - rgb)
    assert difference[2:-2, 2:-2].max() <= 14, encoding  # demosaicing guesses at the border


@pytest.mark.parametrize("padding", [0, 1, 14])
@pytest.mark.parametrize("encoding", PACKED_YUV)
def test_packed_yuv(rgb, encoding, padding):
    order = {"yuv422": "uyvy", "yuv422_yuy2": "yuyv"}.get(encoding, encoding)
    frame = image_to_frame(message(yuv422(rgb, order), encoding, padding))
    assert np.abs(frame.image.astype(int) - rgb).max() <= 12


@pytest.mark.parametrize("padding", [0, 6, 14])
@pytest.mark.parametrize("encoding", PLANAR)
def test_planar_yuv(rgb, encoding, padding):
    made = planar_message(planar(rgb, encoding), encoding, padding)
    image = image_to_frame(made).image
    assert np.abs(image.astype(int) - rgb).max() <= 12
    if not padding:
        made.step = WIDTH * 3 // 2  # as drivers do that divide the bytes by the height
        np.testing.assert_array_equal(image_to_frame(made).image, image)
    chroma = 2 if encoding in ("nv24", "nv42") else 0.5 if encoding in ("i420", "yv12") else 1
    made.data = made.data[: -int(padding * chroma) - 1]
    made.step = WIDTH + padding
    with pytest.raises(ImageError, match=rf"bytes; expected \d+ for 50x36 {encoding} with step"):
        image_to_frame(made)


def test_full_chroma_agrees_with_shared_chroma():
    """nv24 is converted by the project's own matrix; nv12 by OpenCV."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    pairs = rng.integers(0, 256, (HEIGHT // 2, WIDTH // 2, 2), dtype=np.uint8)
    coarse = planar_message([y, pairs.reshape(HEIGHT // 2, -1)], "nv12")
    full = pairs.repeat(2, 0).repeat(2, 1)
    fine = planar_message([y, full.reshape(HEIGHT, -1)], "nv24")
    found, expected = image_to_frame(fine).image.astype(int), image_to_frame(coarse).image
    assert np.abs(found - expected).max() <= 2


def test_values_that_are_not_finite_or_rare():
    warm = np.full((HEIGHT, WIDTH), 30.0, np.float32)
    warm[:, :25], warm[0, :4] = 20.0, (np.nan, np.inf, -np.inf, 1e30)
    image = image_to_frame(message(warm, "32FC1")).image
    assert (image[1:, 25:] == 255).all() and (image[1:, :25] == 0).all() and (image[0, :3] == 0).all()
    for values in (np.nan, 5.0, 1e308):
        assert not image_to_frame(message(np.full((HEIGHT, WIDTH), values), "64FC1")).image.any()
    wide = np.linspace(-1, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 1e308
    assert np.ptp(image_to_frame(message(wide, "64FC1")).image) == 255
    spot = np.zeros((HEIGHT, WIDTH), np.uint16)
    spot[3, 4] = 900
    image = image_to_frame(message(spot, "mono16")).image
    assert image[3, 4, 0] == 255 and image.sum() == 3 * 255


def test_rgb8_is_a_view_of_the_message_and_read_only(rgb):
    made = message(rgb, "rgb8", padding=2)
    image = image_to_frame(made).image
    assert np.shares_memory(image, np.frombuffer(made.data, np.uint8))
    assert not image.flags.writeable


def test_last_row_may_lack_its_padding(rgb):
    made = message(rgb, "rgb8", padding=10)
    made.data = made.data[:-10]
    np.testing.assert_array_equal(image_to_frame(made).image, rgb)
    made.data = made.data[:-1]
    with pytest.raises(ImageError, match="data has 5749 bytes; expected 5760"):
        image_to_frame(made)


@pytest.mark.parametrize("encoding", ["", "jpeg", "hsv8", "8UC2", "32UC1", "16FC1", "bayer_rgbg8", "RGB8"])
def test_other_encodings_name_the_known_ones(rgb, encoding):
    with pytest.raises(ImageError, match=r"expected one of rgb8, .*, or a type of OpenCV"):
        image_to_frame(message(rgb, encoding))


@pytest.mark.parametrize(
    ("encoding", "size", "text"),
    [
        ("yuyv", (4, 5), "width is 5; expected an even number"),
        ("nv16", (4, 5), "width is 5; expected an even number"),
        ("nv12", (5, 4), "height is 5; expected an even number"),
        ("bayer_rggb16", (1, 4), "expected at least 2x2 for bayer_rggb16"),
        ("nv12", (4, 4), "step is 3; expected at least 4"),
    ],
)
def test_sizes_that_an_encoding_cannot_have(encoding, size, text):
    made = Image(height=size[0], width=size[1], encoding=encoding, step=3 if size == (4, 4) else 64)
    made.data = array.array("B", bytes(1000))
    with pytest.raises(ImageError, match=text):
        image_to_frame(made)


def test_outgoing_messages_hold_the_array(rgb):
    labels = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    from std_msgs.msg import Header

    sent = image_message(Header(frame_id="x"), labels, "mono16")
    assert (sent.step, sent.is_bigendian, sent.header.frame_id) == (2 * WIDTH, 0, "x")
    np.testing.assert_array_equal(np.frombuffer(bytes(sent.data), np.uint16).reshape(HEIGHT, WIDTH), labels)
    turned = image_message(Header(), rgb.transpose(1, 0, 2), "rgb8")
    assert (turned.width, turned.height, turned.step) == (HEIGHT, WIDTH, 3 * HEIGHT)
    np.testing.assert_array_equal(image_to_frame(turned).image, rgb.transpose(1, 0, 2))
