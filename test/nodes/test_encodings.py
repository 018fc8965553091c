# SPDX-License-Identifier: Apache-2.0
"""Every encoding against OpenCV's conversions of the same bytes, padded rows included."""

import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from evitsam_ros.encodings import DECODERS, ImageError, image_to_frame
from evitsam_ros.nodes.outgoing import image_message
from evitsam_ros.nodes.rare_encodings import with_cv_bridge

HEIGHT, WIDTH = 36, 50


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """A smooth colour picture: Bayer and YUV lose what is finer than two pixels."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    planes = [xs * 4 + 20, ys * 6 + 10, 255 - xs * 2 - ys * 3]
    return np.stack(planes, -1).astype(np.uint8)


def bayer(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """What a sensor with this pattern (first row, second row) sees."""
    channel = {"r": 0, "g": 1, "b": 2}
    raw = np.empty(rgb.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        raw[index // 2 :: 2, index % 2 :: 2] = rgb[index // 2 :: 2, index % 2 :: 2, channel[colour]]
    return raw


def yuv422(rgb: np.ndarray, luma_first: bool) -> np.ndarray:
    """Packed 4:2:2 by the definition of BT.601 (studio swing), ``(H, W, 2)``."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.empty_like(y)
    chroma[:, ::2], chroma[:, 1::2] = (u[:, ::2] + u[:, 1::2]) / 2, (v[:, ::2] + v[:, 1::2]) / 2
    order = (y, chroma) if luma_first else (chroma, y)
    return np.stack(order, -1).round().astype(np.uint8)


def make(rgb: np.ndarray, encoding: str) -> np.ndarray:
    alpha = np.full((*rgb.shape[:2], 1), 77, np.uint8)
    makers = {
        "rgb8": lambda: rgb,
        "bgr8": lambda: rgb[..., ::-1],
        "8UC3": lambda: rgb[..., ::-1],
        "rgba8": lambda: np.concatenate([rgb, alpha], -1),
        "bgra8": lambda: np.concatenate([rgb[..., ::-1], alpha], -1),
        "8UC4": lambda: np.concatenate([rgb[..., ::-1], alpha], -1),
        "mono8": lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
        "8UC1": lambda: cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY),
        "yuv422": lambda: yuv422(rgb, luma_first=False),
        "uyvy": lambda: yuv422(rgb, luma_first=False),
        "yuv422_yuy2": lambda: yuv422(rgb, luma_first=True),
        "yuyv": lambda: yuv422(rgb, luma_first=True),
        **{name: lambda name=name: bayer(rgb, name[6:10]) for name in DECODERS if name.startswith("bayer")},
    }
    return np.ascontiguousarray(makers[encoding]())


def message(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    rows = pixels.reshape(HEIGHT, -1)
    rows = np.concatenate([rows, np.full((HEIGHT, padding), 255, np.uint8)], axis=1)
    made = Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=rows.shape[1])
    made.header.stamp.sec, made.header.frame_id = 7, "camera"
    made.data = array.array("B", rows.tobytes())
    return made


@pytest.mark.parametrize("padding", [0, 1, 14])
@pytest.mark.parametrize("encoding", DECODERS)
def test_encoding_gives_the_picture_back(rgb, encoding, padding):
    frame = image_to_frame(message(make(rgb, encoding), encoding, padding))
    assert (frame.stamp, frame.frame_id) == (7.0, "camera")
    wanted = rgb
    if encoding in ("mono8", "8UC1"):
        wanted = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, -1)
    difference = np.abs(frame.image.astype(int) - wanted)
    inner = difference[2:-2, 2:-2]  # demosaicing guesses at the border
    limit = 12 if encoding.startswith(("bayer", "yu", "uy")) else 0
    assert inner.max() <= limit, encoding


def test_rgb8_is_a_view_of_the_message_and_read_only(rgb):
    made = message(rgb, "rgb8", padding=2)
    image = image_to_frame(made).image
    assert np.shares_memory(image, np.frombuffer(made.data, np.uint8))
    assert not image.flags.writeable


def test_last_row_may_come_without_its_padding(rgb):
    made = message(rgb, "rgb8", padding=10)
    made.data = made.data[:-10]
    np.testing.assert_array_equal(image_to_frame(made).image, rgb)
    made.data = made.data[:-1]
    with pytest.raises(ImageError, match="data has 5749 bytes; expected 5760"):
        image_to_frame(made)


@pytest.mark.parametrize("encoding", ["mono16", "32FC1", "rgb16", "", "jpeg"])
def test_other_encodings_name_the_known_ones(rgb, encoding):
    with pytest.raises(ImageError, match=r"expected one of rgb8, [^(]*$"):
        image_to_frame(message(rgb, encoding))
    with pytest.raises(ImageError, match=r"expected one of rgb8, .*cv_bridge"):
        image_to_frame(message(rgb, encoding), with_cv_bridge)


def test_outgoing_messages_hold_the_array(rgb):
    labels = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    from std_msgs.msg import Header

    sent = image_message(Header(frame_id="x"), labels, "mono16")
    assert (sent.step, sent.is_bigendian, sent.header.frame_id) == (2 * WIDTH, 0, "x")
    np.testing.assert_array_equal(np.frombuffer(bytes(sent.data), np.uint16).reshape(HEIGHT, WIDTH), labels)
    turned = image_message(Header(), rgb.transpose(1, 0, 2), "rgb8")
    assert (turned.width, turned.height, turned.step) == (HEIGHT, WIDTH, 3 * HEIGHT)
    np.testing.assert_array_equal(image_to_frame(turned).image, rgb.transpose(1, 0, 2))
