# SPDX-License-Identifier: Apache-2.0
"""Messages that no honest sender sends, from a seeded generator: sound ones, damaged up to three times."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, UInt32
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from evitsam_ros.io.pixel_layouts import ENCODINGS, PLANAR, packed_encoding

from ..io.damaged_images import SIDES, Rng, damage_image, pick, valid_image

NUMBERS = (
    float("nan"),
    float("inf"),
    -float("inf"),
    0.0,
    -0.0,
    -1.0,
    1e9,
    -1e30,
    3e38,
    1e308,
    -1e308,
    5e-324,
)
UINTS = (0, 1, 2, 3, 7, 255, 16384, 16385, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
SECONDS = (0, 1, -1, -(2**31), 2**31 - 1, 1_700_000_000)
NANOSECONDS = (0, 1, 999_999_999, 1_000_000_000, 2**32 - 1)
STRINGS = (
    "",
    " ",
    "%s%n{}{0}",
    "ß\u2028\u202e𝄞",
    "a/../b",
    "\n\r\t\x1b[31m",
    "background",
    "#1",
    "x" * 30000,
)


#: Encodings that are known, with some of OpenCV's types.
KNOWN = (*ENCODINGS, *PLANAR, "8UC1", "8SC3", "16UC1", "16SC4", "32FC1", "64FC3")


def number(rng: Rng) -> float:
    """Mostly a pixel, else something worse."""
    return float(rng.uniform(-20, 150)) if rng.random() < 0.6 else pick(rng, NUMBERS)


def text(rng: Rng) -> str:
    return pick(rng, STRINGS)


def header(rng: Rng, wild: bool) -> Header:
    """Without a stamp, or with a wild one."""
    made = Header(frame_id=text(rng) if wild else "camera")
    if wild:
        made.stamp.sec, made.stamp.nanosec = pick(rng, SECONDS), pick(rng, NANOSECONDS)
    return made


def noise(rng: Rng, count: int) -> array.array:
    return array.array("B", rng.integers(0, 256, max(count, 0), dtype=np.uint8).tobytes())


def _damage_image(rng: Rng, message: Image) -> None:
    def cut() -> None:
        message.data = message.data[: int(rng.integers(0, len(message.data) + 1))]

    def change(field: str, values: Any) -> None:
        setattr(message, field, pick(rng, values))

    encodings = (*KNOWN, "", "hsv8", "RGB8", "8UC9999", *STRINGS)
    damages: tuple[Callable[[], None], ...] = (
        cut,
        lambda: change("step", (*UINTS, message.step - 1, message.step + 1)),
        lambda: change("height", (*UINTS, message.height + 1)),
        lambda: change("width", (*UINTS, message.width + 1)),
        lambda: change("encoding", encodings),
        lambda: setattr(message, "data", noise(rng, 0)),
        lambda: setattr(message, "data", noise(rng, int(rng.integers(100_000)))),
        lambda: setattr(message, "header", header(rng, wild=True)),
        lambda: setattr(message, "is_bigendian", 1),
    )
    pick(rng, damages)()


def _pixel_bytes(encoding: str) -> int:
    """Bytes of a pixel; of one in the first plane."""
    if encoding in PLANAR:
        return 1
    layout = packed_encoding(encoding)
    return layout.channels * int(layout.kind[1])


def image(rng: Rng) -> tuple[Image, bool]:
    """A raw image; whether it is sound."""
    encoding, (height, width) = pick(rng, KNOWN), (pick(rng, SIDES), pick(rng, SIDES))
    if encoding in PLANAR or packed_encoding(encoding).channels == 2:
        height, width = height + height % 2, width + width % 2
    if encoding.startswith("bayer"):
        height, width = max(height, 2), max(width, 2)
    step = width * _pixel_bytes(encoding) + 2 * int(rng.integers(0, 3)) * int(rng.random() < 0.3)
    message = Image(header=header(rng, False), height=height, width=width, encoding=encoding, step=step)
    message.is_bigendian = int(rng.integers(2))
    message.data = noise(rng, step * height * (3 if encoding in PLANAR else 1))
    damages = int(rng.integers(0, 4))
    for _ in range(damages):
        _damage_image(rng, message)
    return message, damages == 0


def depth(rng: Rng) -> tuple[Image, bool]:
    """A depth image; whether it is sound."""
    encoding = pick(rng, ("32FC1", "16UC1", "mono16"))
    size, (height, width) = 4 if encoding == "32FC1" else 2, (96, 128)
    message = Image(header=header(rng, False), height=height, width=width, encoding=encoding)
    message.step, message.is_bigendian = width * size, int(rng.integers(2))
    message.data = noise(rng, message.step * height)
    damages = int(rng.integers(0, 4))
    for _ in range(damages):
        _damage_image(rng, message)
    return message, damages == 0


def compressed(rng: Rng) -> tuple[CompressedImage, bool]:
    """A JPEG or PNG; whether it is sound."""
    data, damages = valid_image(rng), int(rng.integers(0, 4))
    for _ in range(damages):
        data = damage_image(rng, data)
    wild = damages > 0 and rng.random() < 0.3
    message = CompressedImage(header=header(rng, wild), format=text(rng) if wild else "jpeg")
    message.data = array.array("B", data)
    return message, damages == 0


def detection(rng: Rng) -> Detection2D:
    made = Detection2D(id=pick(rng, ("", "", "", "a", "7", *STRINGS)))
    centre, box = made.bbox.center, made.bbox
    centre.position.x, centre.position.y, centre.theta = number(rng), number(rng), 0.0
    kind = rng.random()
    if kind < 0.3:
        box.size_x, box.size_y = 0.0, 0.0
    elif kind < 0.7:
        box.size_x, box.size_y = float(rng.uniform(1, 60)), float(rng.uniform(1, 60))
    else:
        box.size_x, box.size_y, centre.theta = number(rng), number(rng), number(rng)
    for _ in range(int(rng.integers(0, 3))):
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = text(rng), number(rng)
        made.results.append(result)
    return made


def detections(rng: Rng, wild_stamps: bool = True) -> Detection2DArray:
    count = pick(rng, (0, 1, 1, 1, 2, 3, 5, 20)) if rng.random() < 0.97 else pick(rng, (300, 300, 300, 3000))
    return Detection2DArray(
        header=header(rng, wild_stamps and rng.random() < 0.3),
        detections=[detection(rng) for _ in range(count)],
    )


def point_stamped(rng: Rng, wild_stamps: bool = True) -> PointStamped:
    made = PointStamped(header=header(rng, wild_stamps and rng.random() < 0.3))
    made.point.x, made.point.y, made.point.z = number(rng), number(rng), number(rng)
    return made


def pixel(rng: Rng) -> Point:
    return Point(x=number(rng), y=number(rng), z=number(rng))


def removal(rng: Rng) -> UInt32:
    return UInt32(data=pick(rng, UINTS))


def camera_info(rng: Rng) -> tuple[CameraInfo, bool]:
    """A calibration of 128 x 96 pixels; whether it is sound."""
    model, count = pick(rng, (("", 0), ("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4)))
    k = [100.0, 0.0, 64.0, 0.0, 100.0, 48.0, 0.0, 0.0, 1.0]
    p = [100.0, 0.0, 64.0, 0.0, 0.0, 100.0, 48.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    message = CameraInfo(header=header(rng, False), width=128, height=96, k=k, p=p, distortion_model=model)
    message.d = array.array("d", rng.uniform(-0.01, 0.01, count))
    changes: tuple[Callable[[], None], ...] = (
        lambda: message.k.__setitem__(int(rng.integers(9)), number(rng)),
        lambda: message.p.__setitem__(int(rng.integers(12)), number(rng)),
        lambda: setattr(message, "d", array.array("d", [number(rng) for _ in message.d])),
        lambda: setattr(message, "d", array.array("d", [number(rng)] * int(rng.integers(20)))),
        lambda: setattr(message, "distortion_model", text(rng)),
        lambda: setattr(message, "width", pick(rng, UINTS)),
        lambda: setattr(message, "height", pick(rng, UINTS)),
        lambda: setattr(message, "binning_x", pick(rng, UINTS)),
        lambda: setattr(message.roi, "width", pick(rng, UINTS)),
        lambda: setattr(message.roi, "y_offset", pick(rng, UINTS)),
    )
    damages = int(rng.integers(0, 3))
    for _ in range(damages):
        pick(rng, changes)()
    return message, damages == 0
