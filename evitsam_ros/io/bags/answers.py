# SPDX-License-Identifier: Apache-2.0
"""Segment an image topic of a bag into a new bag, by rosbags; no ROS has to be installed.

All recorded messages are copied unchanged. The masks of a frame follow it, with its header and time.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...tracking import TrackedCamera
from ..encodings import ImageError
from .channel import BagError, Channel
from .files import SUFFIXES, plain_name
from .reader import ANSWERS, Bag, decode, open_bag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import numpy as np

    from ...segment import CloserLooks, Frame, Masks, Prompt, Segmenter
    from .writer import BagWriter

    #: Writes the answer to a frame: the time in nanoseconds, the header, the image.
    WriteAnswer = Callable[[int, Any, Frame], None]

#: Topics of the answers, as the node names them.
LABEL_MAP, DETECTIONS = f"{ANSWERS}label_map", f"{ANSWERS}detections"
OVERLAY = f"{ANSWERS}overlay/compressed"
TOPICS = (LABEL_MAP, OVERLAY, DETECTIONS)
#: Endings of bags of ROS 1, of compressed files, and those that are written, in any letters.
OTHER_SUFFIXES = (".bag", ".zstd", ".zst", *SUFFIXES)
#: Damaged images that are named one by one; the others are counted.
NAMED = 5

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """Counts of a processed bag.

    Attributes:
        frames, masks: Number of segmented frames, and of their masks.
        ids: Distinct object ids.
        damaged: Number of images that could not be decoded; they are copied, and have no masks.
        detections: Whether detections were written, which needs the definition of vision_msgs.
    """

    frames: int = 0
    masks: int = 0
    ids: set[int] = field(default_factory=set)
    damaged: int = 0
    detections: bool = True


class Observer(Protocol):
    """Receive the images of a bag while it is answered; they are numbered from 0."""

    def begins(self, number: int) -> None:
        """Note that an image is decoded next."""

    def answered(self, number: int, header: Any, frame: Frame, masks: Masks) -> None:
        """Take the masks of an image, and the header of its message."""

    def damaged(self, number: int, error: str) -> None:
        """Note that an image cannot be decoded."""


def check_bag_out(out: Path) -> None:
    """Check the name of a new bag, before any work is done.

    Raises:
        BagError: The name exists, its folder does not, or its ending is that of another format.
    """
    if os.path.lexists(out):
        raise BagError(f"{out} exists already; expected a new name, because a bag is never overwritten")
    if out.suffix.lower() in OTHER_SUFFIXES and out.suffix not in SUFFIXES:
        raise BagError(
            f"{out} has the ending {out.suffix!r}, which is not written; expected .mcap, .db3, or a folder "
            "without an ending"
        )
    if not out.parent.is_dir():
        raise BagError(f"{out} cannot be written: there is no folder {out.parent}")


def answer_bag(
    segmenter: Segmenter,
    source: Path,
    out: Path,
    topic: str = "",
    *,
    prompts: Mapping[int, Prompt] | None = None,
    top_n: int = 64,
    closer: CloserLooks | None = None,
    name_masks: Callable[[np.ndarray, Masks], Mapping[int, str]] | None = None,
    observer: Observer | None = None,
) -> Summary:
    """Segment an image topic of a bag.

    Messages that cannot be copied are skipped with a warning: earlier results on the topics of the new ones,
    and messages that are not serialized in CDR.

    Args:
        segmenter: Segmenter of an opened bundle.
        source: The bag's folder or file.
        out: ``.mcap`` or ``.db3`` for a single file, else a folder; it must not exist.
        topic: The image topic; by default the only one.
        prompts: Prompts on the first frame, by object id; they follow their objects. None: everything mode.
        top_n: Maximum number of prompts per frame in everything mode.
        closer: Closer looks at prompted objects; None: none.
        name_masks: Returns the class names of the masks of an image ``(H, W, 3)`` uint8 RGB, by object id;
            None: they have none.
        observer: Called for each image.

    Raises:
        BagError: The bag cannot be read, has no such topic, or none of its images can be decoded; or ``out``
            exists or does not fit on the disk.
        PromptError: A prompt lies outside the first frame.
    """
    from .answer_messages import AnswerMessages

    camera, summary = TrackedCamera(segmenter), Summary()

    def open_answers(writer: BagWriter) -> WriteAnswer:
        answers = AnswerMessages(writer, LABEL_MAP, OVERLAY, DETECTIONS)
        summary.detections = answers.has_detections

        def write(time: int, header: Any, frame: Frame) -> None:
            masks = _answer(camera, frame, prompts, top_n, closer)
            if observer is not None:
                observer.answered(summary.frames + summary.damaged, header, frame, masks)
            answers.write(time, header, frame, masks, name_masks(frame.image, masks) if name_masks else None)
            summary.masks += len(masks)
            summary.ids.update(masks.object_ids.tolist())

        return write

    copy_with_answers(source, out, topic, TOPICS, open_answers, summary, observer)
    return summary


def copy_with_answers(
    source: Path,
    out: Path,
    topic: str,
    answer_topics: Collection[str],
    open_answers: Callable[[BagWriter], WriteAnswer],
    summary: Summary,
    observer: Observer | None = None,
) -> None:
    """Copy a bag and write the answers to an image topic beside it.

    Args:
        source: The bag's folder or file.
        out: As of :func:`answer_bag`.
        topic: The image topic; by default the only one.
        answer_topics: Topics of the answers; recorded messages on them are skipped.
        open_answers: Adds these topics to the new bag, and returns the function that writes the answer to a
            frame.
        summary: Frames and damaged images are counted in it.
        observer: Called for each image.

    Raises:
        BagError: As of :func:`answer_bag`.
    """
    check_bag_out(out)
    if topic in answer_topics:
        raise BagError(f"{topic} is a topic of the answers; expected a camera's")
    with open_bag(source) as bag, ExitStack() as stack:
        chosen = bag.image_channel(topic)
        _check_space(bag, out)
        folder = Path(tempfile.mkdtemp(prefix=".evitsam-", dir=out.parent))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        place = plain_name(folder, stack) / "bag"
        _write(bag, chosen, place, out.suffix, answer_topics, open_answers, summary, observer)
        if not summary.frames:
            raise BagError(f"bag {source} has no image on {chosen.topic} that can be decoded")
        _put(folder / "bag", out)


def _check_space(bag: Bag, out: Path) -> None:
    needed, free = bag.size, shutil.disk_usage(out.parent).free
    if free < needed:
        raise BagError(
            f"{out} does not fit on the disk: it takes at least {needed / 1e9:.3g} GB, "
            f"{free / 1e9:.3g} GB are free"
        )


def _write(
    bag: Bag,
    chosen: Channel,
    folder: Path,
    storage: str,
    answer_topics: Collection[str],
    open_answers: Callable[[BagWriter], WriteAnswer],
    summary: Summary,
    observer: Observer | None,
) -> None:
    from .writer import BagWriter

    with BagWriter(folder, storage, bag.custom_data) as writer:
        copied = {channel.key for channel in bag.channels if _is_copied(channel, answer_topics)}
        for channel in bag.channels:
            if channel.key in copied:
                writer.add_copy(channel)
        write_answer = open_answers(writer)
        for channel, time, raw in bag.messages():
            if channel.key in copied:
                writer.copy(channel, time, raw)
            if channel.key != chosen.key:
                continue
            number = summary.frames + summary.damaged
            if observer is not None:
                observer.begins(number)
            try:
                frame, header = decode(raw, chosen)
            except ImageError as error:
                _note_damaged(summary, bag, chosen, error)
                if observer is not None:
                    observer.damaged(number, str(error))
                continue
            write_answer(time, header, frame)
            summary.frames += 1
    if summary.damaged > NAMED:
        log.warning("%d images of %s are damaged and have no masks", summary.damaged, chosen.topic)


def _is_copied(channel: Channel, answer_topics: Collection[str]) -> bool:
    """Return whether a channel is copied; if not, log a warning with the reason."""
    if channel.topic in answer_topics:
        log.warning("left out: %s (%d messages): earlier answers", channel.topic, channel.count)
    elif channel.serialization != "cdr":
        log.warning(
            "left out: %s (%d messages): serialized as %r, which a ROS 2 bag cannot hold beside 'cdr'",
            *(channel.topic, channel.count, channel.serialization),
        )
    else:
        return True
    return False


def _note_damaged(summary: Summary, bag: Bag, channel: Channel, error: ImageError) -> None:
    number = summary.frames + summary.damaged
    summary.damaged += 1
    if summary.damaged <= NAMED:
        log.warning("without masks: %s, %s, message %d: %s", bag.path, channel.topic, number, error)


def _answer(
    camera: TrackedCamera,
    frame: Frame,
    prompts: Mapping[int, Prompt] | None,
    top_n: int,
    closer: CloserLooks | None,
) -> Masks:
    if prompts is None:
        return camera.everything(frame, top_n)
    return camera.prompted(frame, prompts, closer=closer)


def _put(bag: Path, out: Path) -> None:
    """Move the bag's only file, or its folder, to ``out``."""
    if out.suffix not in SUFFIXES:
        bag.replace(out)
        return
    (content,) = (file for file in bag.iterdir() if file.suffix == out.suffix)
    content.replace(out)
