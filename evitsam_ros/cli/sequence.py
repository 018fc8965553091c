# SPDX-License-Identifier: Apache-2.0
"""A video or a folder of frames -> masks with ids that last: drawn, and as COCO-style JSON."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.image_files import write_image
from ..io.video_files import CODECS, VideoWriter
from ..segment import CloserLooks, Frame, Masks, Prompt, PromptError, Segmenter, draw_overlay, look_closer
from ..tracking import TrackedCamera

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..io.sources import Sequence

log = logging.getLogger(__name__)


class Drawing:
    """Frames into a video file, or one PNG each into a folder.

    Raises:
        ValueError: it cannot be written.
        OSError: likewise.
    """

    def __init__(self, out: Path, rate: float) -> None:
        self._out, self._count = out, 0
        self._video = VideoWriter(out, rate) if out.suffix.lower() in CODECS else None
        if self._video is None:
            out.mkdir(exist_ok=True)

    def add(self, image: np.ndarray) -> None:
        """Append ``(H, W, 3)`` uint8 RGB."""
        frame = np.ascontiguousarray(image[..., ::-1])
        if self._video is not None:
            self._video.add(frame)
        else:
            write_image(self._out / f"{self._count:06}.png", frame)
        self._count += 1

    def finish(self) -> None:
        """Complete the video; without this there is none."""
        if self._video is not None:
            self._video.finish()

    def close(self) -> None:
        """Remove an unfinished video."""
        if self._video is not None:
            self._video.discard()


def segment_sequence(
    segmenter: Segmenter,
    sequence: Sequence,
    out: Path,
    *,
    prompts: dict[int, Prompt] | None = None,
    top_n: int = 64,
    track: bool = True,
    closer: CloserLooks | None = None,
    name_masks: Callable[[np.ndarray, Masks], Mapping[int, str]] | None = None,
) -> dict[str, Any]:
    """Segment frames in their order.

    Args:
        segmenter: an opened bundle.
        sequence: see :func:`~evitsam_ros.io.sources.open_sequence`.
        out: a video file (.avi, .mp4, .mkv, .mov), of the sequence's rate and its first frame's size, or a
            folder.
        prompts: by object id, on the first frame; everything if None.
        top_n: max prompts per frame in everything mode.
        closer: closer looks at prompted objects; None: none.
        track: keep ids over frames; otherwise each frame has new ids, and prompts stay at their pixels.
        name_masks: returns the class names of the masks of an image ``(H, W, 3)`` uint8 RGB, by object id.

    Returns:
        COCO-style images and annotations; ``track_id`` is the object's id.

    Raises:
        PromptError: a prompt lies outside the first frame.
        ValueError: there is no frame that can be read, or ``out`` cannot be written.
        OSError: ``out`` cannot be written.
    """
    camera, drawing = TrackedCamera(segmenter), Drawing(out, sequence.rate)
    images: list[dict] = []
    annotations: list[dict] = []
    try:
        for number, (name, bgr) in enumerate(sequence.frames):
            image = np.ascontiguousarray(bgr[..., ::-1])
            masks = _answer(camera, Frame(image), prompts, top_n, track, name if number else "", closer)
            drawing.add(draw_overlay(image, masks))
            height, width = masks.image_size
            images.append({"id": number, "file_name": name, "width": width, "height": height})
            names = name_masks(image, masks) if name_masks is not None else {}
            annotations += _annotations(masks, number, len(annotations) + 1, names)
        drawing.finish()
    finally:
        drawing.close()
    categories = [{"id": 1, "name": "object"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def _answer(
    camera: TrackedCamera,
    frame: Frame,
    prompts: dict[int, Prompt] | None,
    top_n: int,
    track: bool,
    later: str,
    closer: CloserLooks | None,
) -> Masks:
    """Masks of a frame; ``later`` is its name if it is not the first."""
    segmenter = camera.segmenter
    if prompts is None:
        return camera.everything(frame, top_n) if track else segmenter.everything(frame, top_n)
    if track:
        return camera.prompted(frame, prompts, closer=closer)
    try:
        masks = segmenter.decode(segmenter.embed(frame), list(prompts.values()))
        return masks if closer is None else look_closer(segmenter, frame, masks, closer)
    except PromptError as error:
        if not later:
            raise
        # A smaller frame among others costs its own masks, and not those of the others.
        log.warning("without masks: frame %s: %s", later, error)
        return segmenter.empty_result(frame)


def _annotations(masks: Masks, image: int, first: int, names: Mapping[int, str]) -> list[dict]:
    rows = zip(masks.object_ids, masks.scores, masks.boxes, masks.areas, masks.rle(), strict=True)
    return [
        {
            "id": first + index,
            "image_id": image,
            "track_id": int(identity),
            "category_id": 1,
            "bbox": [float(v) for v in (*box[:2], *(box[2:] - box[:2]))],
            "area": float(area),
            "iscrowd": 0,
            "score": float(score),
            "segmentation": rle,
            **({"class": names[int(identity)]} if int(identity) in names else {}),
        }
        for index, (identity, score, box, area, rle) in enumerate(rows)
    ]
