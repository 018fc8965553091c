# SPDX-License-Identifier: Apache-2.0
"""Write the class of every pixel of an image topic into a copy of its bag, as the semantic node does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer_messages import copied_header, jpeg_message, label_message
from .answers import Summary, copy_with_answers
from .channel import COMPRESSED, IMAGE
from .reader import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...dense import ClassTable, SemanticSegmenter
    from ...segment import Frame
    from .writer import BagWriter

#: Topics of the answers, as the semantic node names them.
LABEL_MAP, OVERLAY = f"{CLASSES}label_map", f"{CLASSES}overlay/compressed"
LABEL_INFO = f"{CLASSES}label_info"
TOPICS = (LABEL_MAP, OVERLAY, LABEL_INFO)
LABEL_INFO_TYPE = "vision_msgs/msg/LabelInfo"


def label_bag(
    segmenter: SemanticSegmenter,
    source: Path,
    out: Path,
    topic: str = "",
    *,
    score_threshold: float = 0.0,
    tiles: bool = False,
) -> Summary:
    """Find the class of every pixel of an image topic of a bag.

    Args:
        segmenter: Of an opened bundle.
        source: The bag's folder or file.
        out: ``.mcap`` or ``.db3`` for a single file, else a folder; it must not exist.
        topic: The image topic; by default the only one.
        score_threshold: Pixels of less confidence are void.
        tiles: Large images are segmented in tiles, see :meth:`~evitsam_ros.dense.SemanticSegmenter.segment`.

    Returns:
        Counts; ``detections`` is whether the class names were written.

    Raises:
        BagError: As of :func:`~evitsam_ros.io.bags.answers.answer_bag`.
    """
    summary = Summary()

    def open_answers(writer: BagWriter) -> Callable[[int, Any, Frame], None]:
        label_map, overlay = writer.add(LABEL_MAP, IMAGE), writer.add(OVERLAY, COMPRESSED)
        summary.detections = writer.knows(LABEL_INFO_TYPE)
        info = writer.add(LABEL_INFO, LABEL_INFO_TYPE, latched=True) if summary.detections else None

        def write(time: int, header: Any, frame: Frame) -> None:
            head = copied_header(writer.types, header)
            if info is not None and not summary.frames:
                names = _names(writer.types, head, segmenter.bundle.classes, score_threshold)
                writer.write(info, time, names)
            found = segmenter.segment(frame.image, score_threshold=score_threshold, tiles=tiles)
            writer.write(label_map, time, label_message(writer.types, head, found.labels))
            writer.write(overlay, time, jpeg_message(writer.types, head, found.overlay(frame.image)))

        return write

    copy_with_answers(source, out, topic, TOPICS, open_answers, summary)
    return summary


def _names(types: Any, head: Any, classes: ClassTable, threshold: float) -> Any:
    """Return the names of the label map's values, as the node's ``~/label_info``."""
    entry = types["vision_msgs/msg/VisionClass"]
    entries = [entry(value, name) for value, name in enumerate(("void", *classes.names))]
    return types[LABEL_INFO_TYPE](head, entries, threshold)
