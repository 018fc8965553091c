# SPDX-License-Identifier: Apache-2.0
"""Camera frames out of ROS 2 bags (mcap, db3) by rosbags: no ROS has to be installed."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from ..encodings import ImageError, compressed_to_frame, image_to_frame
from .channel import IMAGE, BagError, Channel
from .files import BagFile, files_of, read_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...segment import Frame

#: Topics of the segmenter's own answers, which are not taken for a camera's.
ANSWERS, CLASSES = "/segmenter/", "/semantic/"

log = logging.getLogger(__name__)


class Bag:
    """A recording: its channels of any type, and all messages in order.

    Attributes:
        path: As given.
        channels: One for each topic and type, over all files and publishers.
        custom_data: Custom data of the recorder, from ``metadata.yaml``.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        metadata = read_metadata(path)
        self.path = path
        self.custom_data = {str(k): str(v) for k, v in (metadata.get("custom_data") or {}).items()}
        self._files = _open_files(files_of(path, metadata), stack)
        digests = _digests(metadata)
        channels: dict[tuple, Channel] = {}
        for channel in (channel for file in self._files for channel in file.channels):
            known = channels.get(channel.key)
            channels[channel.key] = known.joined(channel) if known else channel
        self.channels = [
            channel.joined(Channel(channel.topic, channel.msgtype, digest=digests.get(channel.topic, "")))
            for channel in channels.values()
        ]

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(file.path.stat().st_size for file in self._files)

    def messages(self, wanted: Channel | None = None) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield channel, time in nanoseconds and content, of all channels or of one."""
        channels = {channel.key: channel for channel in self.channels}
        for file in self._files:
            for channel, time, raw in file.messages(wanted):
                yield channels[channel.key], time, raw

    def image_channel(self, topic: str = "") -> Channel:
        """Return the channel of an image topic, by default of the only one besides the nodes' own.

        Of a topic with messages of two types, it is the one with more messages.

        Raises:
            BagError: There is no such topic, it has no messages, or there are several; the message lists the
                topics.
        """
        images = [channel for channel in self.channels if channel.image_type]
        found = [
            c
            for c in images
            if c.topic == topic or (not topic and not c.topic.startswith((ANSWERS, CLASSES)))
        ]
        if len({channel.topic for channel in found}) != 1:
            listed = ", ".join(sorted({channel.topic for channel in images})) or "none"
            wanted = f"no image topic {topic!r}" if topic else "not one image topic"
            choose = "; choose one by --image-topic or BAG:TOPIC" if len(images) > 1 else ""
            raise BagError(f"bag {self.path} has {wanted}; its image topics: {listed}{choose}")
        if not (used := [channel for channel in found if channel.count]):
            raise BagError(
                f"bag {self.path} has no messages on {found[0].topic}; expected at least one image"
            )
        most = max(used, key=lambda channel: channel.count)
        for other in used:
            if other.key != most.key:
                log.warning(
                    "bag %s: %s has messages of two types: %d of %s are read, %d of %s are not",
                    *(self.path, most.topic, most.count, most.msgtype, other.count, other.msgtype),
                )
        return most


def _open_files(paths: list[Path], stack: ExitStack) -> list[BagFile]:
    """Open the readable files; the last one of a split recording may be empty after a loss of power."""
    files, problem = [], BagError("no files")
    for path in paths:
        try:
            files.append(BagFile(path, stack))
        except BagError as error:
            problem = error
            if len(paths) > 1:
                log.warning("left out: %s", error)
    if not files:
        raise problem
    return files


def _digests(metadata: dict[str, Any]) -> dict[str, str]:
    topics = metadata.get("topics_with_message_count") or ()
    found = (entry.get("topic_metadata") for entry in topics if isinstance(entry, dict))
    return {
        str(topic.get("name")): str(topic.get("type_description_hash") or "")
        for topic in found
        if isinstance(topic, dict)
    }


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a bag's folder, or a single ``.mcap`` or ``.db3`` file.

    Raises:
        BagError: The package rosbags is not installed, or the bag cannot be read.
    """
    try:
        import rosbags.rosbag2  # noqa: F401
    except ImportError as error:
        raise BagError(f"bags need rosbags ({error}); pip install rosbags") from error
    with ExitStack() as stack:
        try:
            bag = Bag(path, stack)
        except OSError as error:
            raise BagError(f"bag {path} cannot be read: {error}") from error
        yield bag


def read_frames(path: Path, topic: str = "") -> Iterator[Frame]:
    """Yield the frames of an image topic in the order of their recording.

    A damaged image is skipped, with a warning that gives its number.

    Args:
        path: The bag's folder or file.
        topic: Image topic; by default the only one.

    Raises:
        BagError: The bag cannot be read, has no such topic, or none of its images can be decoded.
    """
    with open_bag(path) as bag:
        chosen = bag.image_channel(topic)
        number, good = -1, 0
        for number, (_, _, raw) in enumerate(bag.messages(chosen)):
            try:
                frame, _ = decode(raw, chosen)
            except ImageError as error:
                log.warning("left out: %s, %s, message %d: %s", path, chosen.topic, number, error)
                continue
            good += 1
            yield frame
        if not good:
            raise BagError(f"bag {path} has no image on {chosen.topic} that can be decoded, of {number + 1}")


def decode(raw: bytes, channel: Channel) -> tuple[Frame, Any]:
    """Decode a message of an image channel to a frame and the message's header.

    Raises:
        ImageError: The message or its image cannot be decoded.
    """
    try:
        message = _image_types().deserialize_cdr(raw, channel.image_type)
    except MemoryError:
        raise
    except Exception as error:  # the parser raises anything on damaged bytes
        raise ImageError(f"the message cannot be read ({error})") from error
    frame = image_to_frame(message) if channel.image_type == IMAGE else compressed_to_frame(message)
    return frame, message.header


@cache
def _image_types() -> Any:
    """Return the image types, which are the same in every release of ROS 2; the bag's are not used."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)
