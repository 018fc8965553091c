# SPDX-License-Identifier: Apache-2.0
"""A video or a folder of frames -> masks with ids that last: drawn, and as COCO-style JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..segment import Frame, Masks, Prompt, Segmenter, draw_overlay
from ..sources import VIDEOS
from .camera import TrackedCamera


class Drawing:
    """Frames into a video file, or one PNG each into a folder."""

    def __init__(self, out: Path, rate: float = 10.0) -> None:
        self.out, self.rate, self.count = out, rate, 0
        self._video: cv2.VideoWriter | None = None
        (out.parent if out.suffix.lower() in VIDEOS else out).mkdir(parents=True, exist_ok=True)

    def add(self, picture: np.ndarray) -> None:
        """``(H, W, 3)`` uint8 RGB. ``ValueError``: it cannot be written."""
        frame = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        self.count += 1
        if self.out.suffix.lower() not in VIDEOS:
            name = self.out / f"{self.count - 1:06}.png"
            if not cv2.imwrite(str(name), frame):
                raise ValueError(f"{name} cannot be written")
            return
        if self._video is None:
            code = cv2.VideoWriter_fourcc(*("MJPG" if self.out.suffix.lower() == ".avi" else "mp4v"))
            self._video = cv2.VideoWriter(str(self.out), code, self.rate, frame.shape[1::-1])
            if not self._video.isOpened():
                raise ValueError(f"{self.out} cannot be written: OpenCV has no encoder for it; try .avi")
        self._video.write(frame)

    def close(self) -> None:
        if self._video is not None:
            self._video.release()


def segment_sequence(
    segmenter: Segmenter,
    frames: Iterable[np.ndarray],
    out: Path,
    *,
    prompts: dict[int, Prompt] | None = None,
    top_n: int = 64,
    track: bool = True,
) -> dict[str, Any]:
    """Segment frames in their order.

    Args:
        segmenter: an opened bundle.
        frames: ``(H, W, 3)`` uint8 BGR, as :func:`~evitsam_ros.sources.open_source` gives them.
        out: a video file (.mp4, .avi, .mkv, .mov) or a folder.
        prompts: by object id, on the first frame; everything if None.
        top_n: prompts a frame in everything mode.
        track: ids last; else every frame is numbered anew, and prompts stay at their pixels.

    Returns:
        COCO-style images and annotations; ``track_id`` is the object's id.
    """
    camera, drawing = TrackedCamera(segmenter), Drawing(out)
    images: list[dict] = []
    annotations: list[dict] = []
    try:
        for number, bgr in enumerate(frames):
            image = np.ascontiguousarray(bgr[..., ::-1])
            masks = _answer(camera, Frame(image), prompts, top_n, track)
            drawing.add(draw_overlay(image, masks))
            height, width = masks.image_size
            images.append({"id": number, "file_name": f"{number:06}", "width": width, "height": height})
            annotations += _annotations(masks, number, len(annotations) + 1)
    finally:
        drawing.close()
    categories = [{"id": 1, "name": "object"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def _answer(
    camera: TrackedCamera, frame: Frame, prompts: dict[int, Prompt] | None, top_n: int, track: bool
) -> Masks:
    if prompts is None:
        return camera.everything(frame, top_n) if track else camera.segmenter.everything(frame, top_n)
    if track:
        return camera.prompted(frame, prompts)
    return camera.segmenter.decode(camera.segmenter.embed(frame), list(prompts.values()))


def _annotations(masks: Masks, image: int, first: int) -> list[dict]:
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
        }
        for index, (identity, score, box, area, rle) in enumerate(rows)
    ]
