# SPDX-License-Identifier: Apache-2.0
"""Pictures from wherever they are: a photograph, a folder, a video, a bag, a device; still ones may move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from .bags import BagError, is_bag, read_frames
from .installed import CHECKOUT, installed_folders

#: Source of images that come with the package: this alone, or ``example:NAME[,NAME…]``.
EXAMPLE = "example"
#: Where they are, below ``share/evitsam_ros``.
EXAMPLES = "demo/pictures"
VIDEOS = (".mp4", ".avi", ".mkv", ".mov")
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class SourceError(ValueError):
    """A source that cannot be opened."""


def open_source(source: str, loop: bool = True, motion: float = 0.0) -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)`` uint8 BGR.

    Args:
        source: a picture, a folder of pictures (by name), a video file, a bag (``BAG`` or ``BAG:TOPIC``), a
            device (``/dev/video0`` or 0), ``example`` or ``example:NAME[,NAME…]`` for the images that come
            with this package, or ``skimage:NAME[,NAME…]`` for photographs that come with scikit-image.
        loop: start again at the end.
        motion: for a still picture, how far the view wanders, as a share of its size (0: it does not).

    Raises:
        SourceError: naming the source and what was expected.
    """
    if source == EXAMPLE or source.startswith(f"{EXAMPLE}:"):
        names = source.partition(":")[2].split(",") if ":" in source else ["astronaut"]
        return _still([_example(name) for name in names], loop, motion)
    if source.startswith("skimage:"):
        return _still([_skimage(name) for name in source[8:].split(",")], loop, motion)
    if source.isdigit() or source.startswith("/dev/"):
        return _video(int(source) if source.isdigit() else source, loop=False)
    bag, _, topic = source.partition(":")
    if is_bag(Path(bag).expanduser()):
        return _bag(Path(bag).expanduser(), topic, loop)
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        if not files:
            raise SourceError(f"source {source!r} is a folder without pictures ({', '.join(PICTURES)})")
        return _files(files, loop)
    if path.suffix.lower() in PICTURES:
        return _still([_read(path)], loop, motion)
    if path.is_file():
        return _video(str(path), loop)
    raise SourceError(f"source {source!r} is neither a picture, a folder, a video file, a bag nor a device")


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"{path} cannot be read as a picture")
    return image


def _example(name: str) -> np.ndarray:
    """Read an image of ``demo/pictures``.

    Raises:
        SourceError: listing the images that there are.
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
    except (ImportError, AttributeError) as error:
        raise SourceError(f"skimage:{name} is not there: {error}") from error
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2BGR)


def _files(files: list[Path], loop: bool) -> Iterator[np.ndarray]:
    while True:
        for file in files:
            yield _read(file)
        if not loop:
            return


def _video(source: str | int, loop: bool) -> Iterator[np.ndarray]:
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise SourceError(f"source {source!r} cannot be opened as a video")
    frames = 0
    while True:
        good, frame = capture.read()
        if good:
            frames += 1
            yield frame
        elif loop and frames:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            frames = 0
        else:
            return


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
    """Each picture for 60 frames, on a slow ellipse; once if nothing moves and it has an end."""
    while True:
        for image in images:
            for step in range(60 if loop or motion > 0 else 1):
                yield wander(image, step / 60, motion)
        if not loop:
            return


def wander(image: np.ndarray, phase: float, motion: float) -> np.ndarray:
    """The picture moved along an ellipse of ``motion`` times its size; the border is mirrored."""
    if motion <= 0:
        return image
    height, width = image.shape[:2]
    angle = 2 * np.pi * phase
    shift = np.float32(
        [[1, 0, motion * width * np.sin(angle)], [0, 1, motion * height * (np.cos(angle) - 1) / 2]]
    )
    return cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def spread(frames: Iterator[np.ndarray], count: int) -> list[np.ndarray]:
    """``count`` frames from all over a stream of unknown length (fewer if it has fewer), in its order."""
    kept: list[np.ndarray] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step == 0:
            kept.append(frame)
        if len(kept) == 2 * count:
            kept, step = kept[::2], 2 * step
    places = np.linspace(0, len(kept) - 1, min(count, len(kept))).round().astype(int)
    return [kept[place] for place in places]
