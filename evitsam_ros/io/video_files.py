# SPDX-License-Identifier: Apache-2.0
"""Read and write video files, and read cameras, by OpenCV, with their frame rate."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

#: Suffixes of containers that are opened without a check of their content.
VIDEOS = (
    *(".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".m2v", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".asf", ".flv", ".3gp", ".ogv", ".mjpg", ".mjpeg", ".h264", ".h265", ".hevc", ".y4m", ".vob"),
)
#: Containers that are written, and their codecs.
CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "mp4v", ".mov": "mp4v"}
#: Default frame rate in Hz.
DEFAULT_RATE = 10.0

log = logging.getLogger(__name__)


class VideoError(ValueError):
    """A video that cannot be read or written."""


def native_name(path: Path) -> str:
    """Return the absolute name of a file, for native code.

    Raises:
        VideoError: The name is not UTF-8, which crashes OpenCV's binding.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise VideoError(f"{path} has a name that is not UTF-8; rename it") from error
    return name


class Video:
    """An opened video file or camera.

    Attributes:
        rate: frames a second.
        count: frames that the container claims to have; 0 if unknown.
    """

    def __init__(self, source: Path | int) -> None:
        self.source = source
        if isinstance(source, int):
            self._capture = cv2.VideoCapture(source)
        else:
            self._capture = cv2.VideoCapture(native_name(source))
        if not self._capture.isOpened():
            raise VideoError(
                f"{source} cannot be opened as a video; expected a complete file that OpenCV reads"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else DEFAULT_RATE
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if math.isfinite(count) and 0 < count < 2**40 else 0

    def frames(self) -> Iterator[np.ndarray]:
        """Yield the frames, ``(H, W, 3)`` uint8 BGR.

        Raises:
            VideoError: The video has no frames.
        """
        number = 0
        while True:
            good, frame = self._capture.read()
            if not good:
                break
            number += 1
            yield frame
        if not number:
            raise VideoError(f"{self.source} has no frames")
        if number < 0.95 * self.count - 1:
            log.warning(
                "%s ended after %d of its %d frames: damaged or cut off", self.source, number, self.count
            )

    def rewind(self) -> None:
        """Start again at the first frame."""
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)


def is_video(path: Path) -> bool:
    """Return whether a file is a video, by its ending, or by its content where the ending is unknown."""
    if path.suffix.lower() in VIDEOS:
        return True
    with path.open("rb") as file:
        if b"\0" not in file.read(4096):  # FFmpeg renders any text as a video of letters
            return False
    capture = cv2.VideoCapture(native_name(path))
    return capture.isOpened() and all(capture.read()[0] for _ in range(2))


class VideoWriter:
    """A new video file, which appears under its name when it is complete.

    Args:
        path: .avi, .mp4, .mkv or .mov.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        native_name(path)
        self._path, self._rate, self._count = path, rate, 0
        self._folder = Path(tempfile.mkdtemp(prefix=".evitsam-", dir=path.parent))
        self._file = self._folder / f"video{path.suffix.lower()}"
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def add(self, frame: np.ndarray) -> None:
        """Append ``(H, W, 3)`` uint8 BGR; a frame of another size than the first is fitted into it."""
        if self._writer is None:
            self._size = frame.shape[1], frame.shape[0]
            code = cv2.VideoWriter.fourcc(*CODECS[self._file.suffix])
            self._writer = cv2.VideoWriter(native_name(self._file), code, self._rate, self._size)
            if not self._writer.isOpened():
                width, height = self._size
                raise VideoError(
                    f"{self._path} cannot be written: OpenCV has no encoder for {width}x{height} pixels in "
                    f"{self._path.suffix}; try .avi, or a folder"
                )
        self._writer.write(fitted(frame, self._size))
        self._count += 1

    def finish(self) -> None:
        """Close the file, check that all frames are in it, and give it its name."""
        if self._writer is None:
            raise VideoError(f"{self._path} cannot be written: there are no frames")
        self._writer.release()
        written = int(cv2.VideoCapture(native_name(self._file)).get(cv2.CAP_PROP_FRAME_COUNT))
        if abs(written - self._count) > 1:  # OpenCV does not report a full disk
            raise VideoError(
                f"{self._path} cannot be written: {max(written, 0)} of {self._count} frames arrived; "
                "is the disk full?"
            )
        self._file.replace(self._path)

    def discard(self) -> None:
        """Remove an unfinished file."""
        if self._writer is not None:
            self._writer.release()
        shutil.rmtree(self._folder, ignore_errors=True)


def fitted(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale an image into (W, H) pixels, its shape kept, with black margins."""
    height, width = frame.shape[:2]
    if (width, height) == size:
        return frame
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    right, bottom = size[0] - inner[0] - left, size[1] - inner[1] - top
    return cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_CONSTANT)
