# SPDX-License-Identifier: Apache-2.0
"""Open a source of images: an image file, a folder, a video, a bag or a device; still images may move."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..installed import CHECKOUT, expand_user, installed_folders
from .bags import BagError, is_bag, read_frames
from .image_files import IMAGES, ImageFileError, read_image
from .natural_order import natural_order
from .video_files import DEFAULT_RATE, Video, VideoError, is_video

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

#: Source of the package's example images: this word alone, or ``example:NAME[,NAME…]``.
EXAMPLE = "example"
#: Where they are, below ``share/evitsam_ros``.
EXAMPLES = "demo/pictures"


class SourceError(ValueError):
    """A source that cannot be opened."""


@dataclass(frozen=True)
class Sequence:
    """The frames of a folder or of a video, in order.

    Attributes:
        rate: frames a second; of a folder :data:`~evitsam_ros.io.video_files.DEFAULT_RATE`.
        frames: names and ``(H, W, 3)`` uint8 BGR, once; named by the file, or by the number in the video.
        count: frames that there should be; 0 if unknown.
    """

    rate: float
    frames: Iterator[tuple[str, np.ndarray]]
    count: int = 0


def is_sequence(path: Path) -> bool:
    """Return whether a path is a folder or a video, and not a single image.

    Raises:
        OSError: The file cannot be read.
    """
    if path.is_dir():
        return True
    if not path.is_file():  # a pipe can be read only once, and a device has no end
        return False
    if path.suffix.lower() == ".gif":
        return is_video(path)
    return path.suffix.lower() not in IMAGES and is_video(path)


def open_sequence(path: Path) -> Sequence:
    """Open a folder of images or a video.

    Raises:
        SourceError: The folder has no images, or the video cannot be opened. During iteration: no frame can
            be read.
    """
    if path.is_dir():
        files = _files_in(path)
        return Sequence(DEFAULT_RATE, _named_files(files, path), len(files))
    video = _open_video(path)
    frames = ((f"{number:06}", frame) for number, frame in enumerate(_played(video)))
    return Sequence(video.rate, frames, video.count)


def open_source(source: str, loop: bool = True, motion: float = 0.0) -> Iterator[np.ndarray]:
    """Open a source and iterate over its frames, ``(H, W, 3)`` uint8 BGR.

    Args:
        source: an image, a folder of images (by name, numbers by value), a video file, a bag (``BAG`` or
            ``BAG:TOPIC``), a device (``/dev/video0``, or 0 where no file has that name), ``example`` or
            ``example:NAME[,NAME…]`` for the images that come with this package, or ``skimage:NAME[,NAME…]``
            for photographs that come with scikit-image.
        loop: start again at the end.
        motion: for a still image, amplitude of the view's motion, as a share of its size (0: none).

    Raises:
        SourceError: The source cannot be opened; the message names it and the expected form.
    """
    if not source:
        raise SourceError("the source is empty; expected an image, a folder, a video, a bag or a device")
    if source == EXAMPLE or source.startswith(f"{EXAMPLE}:"):
        names = source.partition(":")[2].split(",") if ":" in source else ["astronaut"]
        return _still([_example(name) for name in names], loop, motion)
    if source.startswith("skimage:"):
        return _still([_skimage(name) for name in source[8:].split(",")], loop, motion)
    path = expand_user(source)
    if is_device(source):
        return _played(_open_video(int(source) if _is_number(source) else path))
    bag, topic = split_topic(path)
    if is_bag(bag):
        return _bag(bag, topic, loop)
    if path.is_dir():
        return _files(_files_in(path), path, loop)
    if not path.is_file():
        raise SourceError(
            f"source {source!r} does not exist; expected an image, a folder, a video, a bag or a device"
        )
    try:
        if is_sequence(path):
            return _played(_open_video(path), loop)
        return _still([_read(path)], loop, motion)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def is_device(source: str) -> bool:
    """Return whether a source is a camera: a device file, or a number that is not the name of a file."""
    path = expand_user(source)
    return path.is_char_device() or source.startswith("/dev/") or (_is_number(source) and not path.exists())


def _is_number(source: str) -> bool:
    return source.isascii() and source.isdigit()


def split_topic(path: Path) -> tuple[Path, str]:
    """Split ``BAG:TOPIC``; the bag's name may contain colons, and the topic is empty if not given."""
    text = str(path)
    for place in [len(text), *(match.start() for match in reversed(list(re.finditer(":", text))))]:
        bag = Path(text[:place])
        if bag.exists() and is_bag(bag):
            return bag, text[place + 1 :]
    name, _, topic = text.partition(":")
    return Path(name), topic


def _files_in(folder: Path) -> list[Path]:
    """List the images of a folder in natural order, without hidden files: some systems add a hidden twin."""
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGES and not file.name.startswith(".") and file.is_file()
    ]
    if not files:
        raise SourceError(f"source {str(folder)!r} is a folder without images ({', '.join(IMAGES)})")
    return sorted(files, key=natural_order)


def _read(path: Path) -> np.ndarray:
    try:
        return read_image(path)
    except ImageFileError as error:
        raise SourceError(str(error)) from error


def _named_files(files: list[Path], folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and image of each file; an unreadable one is removed from ``files``, with a warning."""
    for file in list(files):
        try:
            image = read_image(file)
        except ImageFileError as error:
            log.warning("left out: %s", error)
            files.remove(file)
            continue
        yield file.name, image
    if not files:
        raise SourceError(f"source {str(folder)!r} has no image that can be read")


def _files(files: list[Path], folder: Path, loop: bool) -> Iterator[np.ndarray]:
    while True:
        for _, image in _named_files(files, folder):
            yield image
        if not loop:
            return


def _example(name: str) -> np.ndarray:
    """Read an image of ``demo/pictures``.

    Raises:
        SourceError: There is no such image; the message lists the names.
    """
    folders = [CHECKOUT / EXAMPLES, *installed_folders(EXAMPLES)]
    files = {file.stem: file for folder in reversed(folders) for file in folder.glob("*.jpg")}
    if name not in files:
        raise SourceError(
            f"source {EXAMPLE}:{name} does not exist; expected one of {', '.join(sorted(files)) or '(none)'}"
        )
    return _read(files[name])


def _skimage(name: str) -> np.ndarray:
    try:
        from skimage import data

        image = np.asarray(getattr(data, name)())
        if image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise ValueError(f"it is {image.dtype} with shape {image.shape}")
    except Exception as error:  # any attribute of the module can be named
        raise SourceError(
            f"source 'skimage:{name}' is not available: {error}; expected scikit-image and one of its images"
        ) from error
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2BGR)


def _open_video(source: Path | int) -> Video:
    try:
        return Video(source)
    except VideoError as error:
        raise SourceError(f"source {error}") from error


def _played(video: Video, loop: bool = False) -> Iterator[np.ndarray]:
    try:
        while True:
            yield from video.frames()
            if not loop:
                return
            video.rewind()
    except VideoError as error:
        raise SourceError(f"source {error}") from error


def _bag(path: Path, topic: str, loop: bool) -> Iterator[np.ndarray]:
    while True:
        try:
            for frame in read_frames(path, topic):
                yield cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        except BagError as error:
            raise SourceError(str(error)) from error
        if not loop:
            return


def _still(images: list[np.ndarray], loop: bool, motion: float) -> Iterator[np.ndarray]:
    """Yield each image for 60 frames, moved along a slow ellipse; once without motion and loop."""
    while True:
        for image in images:
            for step in range(60 if loop or motion > 0 else 1):
                yield wander(image, step / 60, motion)
        if not loop:
            return


def wander(image: np.ndarray, phase: float, motion: float) -> np.ndarray:
    """Return the image moved along an ellipse of ``motion`` times its size; the border is mirrored."""
    if motion <= 0:
        return image
    height, width = image.shape[:2]
    angle = 2 * np.pi * phase
    shift = np.array(
        [[1, 0, motion * width * np.sin(angle)], [0, 1, motion * height * (np.cos(angle) - 1) / 2]],
        np.float32,
    )
    return cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def spread(frames: Iterator[np.ndarray], count: int) -> list[np.ndarray]:
    """Return ``count`` frames evenly spread over a stream of unknown length; all if it has fewer."""
    kept: list[np.ndarray] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step == 0:
            kept.append(frame)
        if len(kept) == 2 * count:
            kept, step = kept[::2], 2 * step
    places = np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)
    return [kept[place] for place in places]
