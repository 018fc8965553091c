# SPDX-License-Identifier: Apache-2.0
"""Camera frames out of ROS 2 bags (mcap, db3) by rosbags: no ROS has to be installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .encodings import ImageError, compressed_to_frame, image_to_frame
from .segment import Frame

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
SUFFIXES = (".mcap", ".db3")


class BagError(ValueError):
    """A bag that cannot be read, or that has no such topic."""


def is_bag(path: Path) -> bool:
    """Whether a path looks like a bag: its folder, or one file of it."""
    return path.suffix in SUFFIXES or (path / "metadata.yaml").is_file()


@contextmanager
def open_bag(path: Path) -> Iterator[Any]:
    """rosbags' reader of a bag's folder, or of a single ``.mcap`` or ``.db3`` file.

    Raises:
        BagError: rosbags is not installed, or the bag cannot be read.
    """
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise BagError(f"bags need rosbags ({error}); pip install rosbags") from error
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            yield reader
    except (AnyReaderError, OSError) as error:
        raise BagError(f"bag {path} cannot be read: {error}") from error


def read_frames(path: Path, topic: str = "") -> Iterator[Frame]:
    """The frames of an image topic in the order of their recording.

    Args:
        path: the bag's folder or file.
        topic: which one; by default the only topic with images.

    Raises:
        BagError: naming the bag and what was expected; a frame that cannot be decoded is named by its number.
    """
    with open_bag(path) as reader:
        chosen = choose_connection(reader.connections, path, topic)
        for number, (_, _, raw) in enumerate(reader.messages(connections=[chosen])):
            yield decode(reader.deserialize(raw, chosen.msgtype), chosen, number, path)


def decode(message: Any, connection: Any, number: int, path: Path) -> Frame:
    """The frame in a message; ``BagError`` names the message if there is none."""
    try:
        return image_to_frame(message) if connection.msgtype == IMAGE else compressed_to_frame(message)
    except ImageError as error:
        raise BagError(f"bag {path}, {connection.topic}, message {number}: {error}") from error


def choose_connection(connections: list, path: Path, topic: str) -> Any:
    """The image topic's connection; ``BagError`` lists what there is."""
    images = [c for c in connections if c.msgtype in (IMAGE, COMPRESSED)]
    found = [c for c in images if not topic or c.topic == topic]
    if len({c.topic for c in found}) == 1:
        return found[0]
    listed = ", ".join(sorted({c.topic for c in images})) or "none"
    wanted = f"no image topic {topic!r}" if topic else "not one image topic"
    raise BagError(f"bag {path} has {wanted}; its image topics: {listed}")
