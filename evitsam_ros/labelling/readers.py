# SPDX-License-Identifier: Apache-2.0
"""The images of a unit, in their order; a damaged one is an entry with an error, not the end."""

from __future__ import annotations

import logging
import tarfile
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from ..io.bags import open_bag
from ..io.bags.reader import decode
from ..io.encodings import ImageError
from ..io.image_files import IMAGES, ImageFileError, decode_image, read_image
from ..io.video_files import Video
from . import unit as units
from .detections import by_stamp, nanoseconds, read_detections
from .places import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from ..io.bags.channel import Channel
    from .unit import Unit


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """One image of a unit.

    Attributes:
        frame: its number in the sequence; None for images that are no sequence.
        name: its file or member; empty for a frame of a recording.
        stamp: nanoseconds, from the header of a recorded message; None for others.
        image: ``(H, W, 3)`` uint8 RGB; None if it cannot be read.
        error: why it cannot be read.
        detections: the detector's message of the same stamp.
    """

    frame: int | None
    name: str = ""
    stamp: int | None = None
    image: np.ndarray | None = None
    error: str = ""
    detections: Any = field(default=None, compare=False)


#: Why an image was passed over.
KILLED = "ended the process that decoded it, twice"


@dataclass(frozen=True)
class Walk:
    """How a unit is walked through.

    Attributes:
        skip: positions of images that are not decoded: they ended their process.
        at: called with the position of each image before it is decoded.
    """

    skip: frozenset[int] = frozenset()
    at: Callable[[int], None] = lambda position: None

    def skips(self, position: int) -> bool:
        """Note the position, and return whether its image is passed over."""
        self.at(position)
        return position in self.skip


def read_unit(unit: Unit, detections: str = "", walk: Walk | None = None) -> Iterator[Item]:
    """Yield the images of a unit.

    Args:
        unit: unit to read.
        detections: topic of a detector in the bag; empty for none.
        walk: images to skip.

    Raises:
        ValueError: The source cannot be read as a recording, video or shard.
        OSError: It cannot be reached.
    """
    walk = walk or Walk()
    if unit.kind == units.BAG:
        return _bag(unit, walk, detections)
    return {units.IMAGES: _images, units.VIDEO: _video, units.SHARD: _shard}[unit.kind](unit, walk)


def _rgb(bgr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _images(unit: Unit, walk: Walk) -> Iterator[Item]:
    folder = Place(unit.source)
    for number, name in enumerate(unit.names):
        frame = number if unit.sequence else None
        place = folder.join(name)
        if walk.skips(number):
            yield Item(frame, name, error=KILLED)
            continue
        try:
            bgr = read_image(place.local) if place.is_local else decode_image(place.read_bytes(), place.text)
        except ImageFileError as error:
            yield Item(frame, name, error=str(error))
            continue
        yield Item(frame, name, image=_rgb(bgr))


def _video(unit: Unit, walk: Walk) -> Iterator[Item]:
    with local_copy(unit) as path:
        for number, bgr in enumerate(Video(path).frames()):
            if unit.last is not None and number >= unit.last:
                return
            walk.at(number)
            if number >= unit.first:
                yield Item(number, image=_rgb(bgr))


def _shard(unit: Unit, walk: Walk) -> Iterator[Item]:
    place = Place(unit.source)
    with place.fs.open_input_stream(place.path) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as shard:
                yield from _members(shard, unit, walk)
        except tarfile.TarError as error:
            raise ValueError(f"{unit.source} cannot be read as a tar shard: {error}") from error


def _members(shard: tarfile.TarFile, unit: Unit, walk: Walk) -> Iterator[Item]:
    images = (m for m in shard if m.isfile() and Path(m.name).suffix.lower() in IMAGES)
    names: set[str] = set()
    for number, member in enumerate(images):
        if member.size < 0:
            raise ValueError(f"{unit.source} is no tar shard: {member.name} has a negative size")
        if member.name in names:  # rows tell images apart by their names
            yield Item(None, member.name, error="a member of this name came before")
            continue
        names.add(member.name)
        if walk.skips(number):
            yield Item(None, member.name, error=KILLED)
            continue
        content = shard.extractfile(member)
        data = content.read() if content is not None else b""
        try:
            bgr = decode_image(data, f"{unit.source}:{member.name}")
        except ImageFileError as error:
            yield Item(None, member.name, error=str(error))
            continue
        yield Item(None, member.name, image=_rgb(bgr))


def _bag(unit: Unit, walk: Walk, detections: str) -> Iterator[Item]:
    with local_copy(unit) as path, open_bag(path) as bag:
        channel = bag.image_channel(unit.topic)
        given = by_stamp(read_detections(bag, detections), f"{path}, {detections}") if detections else {}
        matched: Counter[int] = Counter()
        for number, (_, _, raw) in enumerate(bag.messages(channel)):
            if unit.last is not None and number >= unit.last:
                return
            if number < unit.first:
                continue
            if walk.skips(number):
                yield Item(number, error=KILLED)
                continue
            item = _recorded(number, raw, channel, given)
            matched.update([item.stamp] if item.detections is not None and item.stamp is not None else [])
            yield item
        if detections and not unit.first:
            _report_matches(matched, given, f"{unit.title}, {detections}")


def _report_matches(matched: Counter[int], given: dict[int, Any], where: str) -> None:
    """Warn where detections belong to no image, or to several."""
    if given and not matched:
        log.warning("%s: no message has the stamp of an image; no image has prompts", where)
    if several := sum(count > 1 for count in matched.values()):
        log.warning(
            "%s: %d messages have the stamp of more than one image, which all get them", where, several
        )


def _recorded(number: int, raw: bytes, channel: Channel, given: dict[int, Any]) -> Item:
    try:
        frame, header = decode(raw, channel)
    except ImageError as error:
        return Item(number, error=str(error))
    stamp = nanoseconds(header.stamp)
    return Item(number, stamp=stamp, image=frame.image, detections=given.get(stamp))


@contextmanager
def local_copy(unit: Unit) -> Iterator[Path]:
    """Provide a recording as a local path for the time of the block: native readers take no URL."""
    place = Place(unit.source)
    if place.is_local:
        yield place.local
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evitsam-label-")))
        target = folder / Path(place.path).name
        place.copy_to(target)
        yield target
