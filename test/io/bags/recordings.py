# SPDX-License-Identifier: Apache-2.0
"""Small recordings made by rosbags, and what is in one as rosbags reads it back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
IMAGE, COMPRESSED, STRING = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "std_msgs/msg/String"
IMAGES = [np.random.default_rng(i).integers(0, 255, (6, 8, 3), dtype=np.uint8) for i in range(3)]
RELIABLE = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.VOLATILE,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)
MCAP, DB3 = StoragePlugin.MCAP, StoragePlugin.SQLITE3


def header(seconds: int):
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=seconds, nanosec=500_000_000)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")


def raw(index: int, image: np.ndarray):
    height, width = image.shape[:2]
    return TYPES[IMAGE](
        header=header(index),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=image.reshape(-1),
    )


def compressed(index: int, image: np.ndarray, ending: str = ".png", share: float = 1.0):
    data = cv2.imencode(ending, image)[1].reshape(-1)
    return TYPES[COMPRESSED](header=header(index), format=ending[1:], data=data[: int(share * len(data))])


def text(words: str):
    return TYPES[STRING](data=words)


def content(message: Any) -> bytes:
    return bytes(STORE.serialize_cdr(message, message.__msgtype__))


class Recording:
    """A new bag, one message after the other; ``with`` it."""

    def __init__(self, path: Path, plugin: StoragePlugin = MCAP, compression: str = "NONE") -> None:
        self.writer = Writer(path, version=9, storage_plugin=plugin)
        self.writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
        self.places: dict[str, Any] = {}

    def __enter__(self) -> "Recording":
        self.writer.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.writer.close()

    def topic(self, topic: str, kind: str, **options: Any) -> Any:
        options = options or {"typestore": STORE}
        self.places[topic] = self.writer.add_connection(topic, kind, **options)
        return self.places[topic]

    def put(self, topic: str, seconds: int, message: Any) -> None:
        if topic not in self.places:
            self.topic(topic, message.__msgtype__)
        self.bytes(topic, seconds, content(message))

    def bytes(self, topic: str, seconds: int, data: bytes) -> None:
        self.writer.write(self.places[topic], seconds * 10**9, data)


def record(path: Path, images=IMAGES, plugin: StoragePlugin = MCAP, compression: str = "NONE") -> Path:
    """A bag with a camera on /front and a text on /chatter."""
    with Recording(path, plugin, compression) as bag:
        for index, image in enumerate(images):
            bag.put("/front", index, raw(index, image))
            bag.put("/chatter", index, text("hello"))
    return path


def file_of(bag: Path) -> Path:
    (file,) = (file for file in bag.iterdir() if file.name != "metadata.yaml")
    return file


def messages(bag: Path) -> dict[str, list[tuple[int, bytes]]]:
    """Times and contents by topic, by rosbags' reader, which looks at no definitions."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    for connection, time, data in _read(bag):
        found.setdefault(connection.topic, []).append((time, bytes(data)))
    return found


def _read(bag: Path) -> Iterator[tuple[Any, int, bytes]]:
    with Reader(bag) as reader:
        yield from reader.messages()
