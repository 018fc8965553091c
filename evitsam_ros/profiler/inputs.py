# SPDX-License-Identifier: Apache-2.0
"""The pictures that a profile is made on, as a camera driver would send them: JPEG bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from ..io.encodings import compressed_to_frame
from ..io.image_files import IMAGES, ImageFileError, read_image
from ..io.sources import SourceError, is_device, open_source, spread
from ..segment import Frame

#: As most camera drivers encode.
QUALITY = 90
#: Pictures of one source at most.
MOST = 16
_HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="profile")


@dataclass(frozen=True)
class Picture:
    """A compressed picture.

    Attributes:
        name: where it comes from.
        jpeg: its bytes.
        size: (W, H) in pixels.
    """

    name: str
    jpeg: bytes
    size: tuple[int, int]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.jpeg).hexdigest()

    def decode(self) -> Frame:
        """As the node decodes a CompressedImage."""
        return compressed_to_frame(SimpleNamespace(data=self.jpeg, format="jpeg", header=_HEADER))


def open_pictures(sources: Sequence[str], size: tuple[int, int] | None) -> list[Picture]:
    """The pictures of all sources, equal ones once.

    Args:
        sources: as :func:`~evitsam_ros.io.sources.open_source` takes them; a JPEG file keeps its own bytes if
            it has the size asked for.
        size: (W, H) to bring them to; None: as they are.

    Raises:
        SourceError: naming the source that cannot be opened or is empty.
    """
    found = []
    for source in sources:
        pictures = _of_source(source, size)
        if not pictures:
            raise SourceError(f"source {source!r} has no pictures")
        found += pictures
    return list({picture.jpeg: picture for picture in found}.values())


def _of_source(source: str, size: tuple[int, int] | None) -> list[Picture]:
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() in IMAGES:
        return [_of_file(path, size)]
    frames = open_source(source, loop=False)
    if is_device(source):
        frames = islice(frames, MOST)  # a camera never ends
    kept = list({frame.tobytes(): frame for frame in spread(frames, MOST)}.values())
    names = [source if len(kept) == 1 else f"{source} #{number}" for number in range(len(kept))]
    return [_encode(name, frame, size) for name, frame in zip(names, kept, strict=True)]


def _of_file(path: Path, size: tuple[int, int] | None) -> Picture:
    try:
        frame, content = read_image(path), path.read_bytes()
    except ImageFileError as error:
        raise SourceError(str(error)) from error
    own = (frame.shape[1], frame.shape[0])
    if path.suffix.lower() in (".jpg", ".jpeg") and size in (None, own):
        return Picture(str(path), content, own)
    return _encode(str(path), frame, size)


def _encode(name: str, frame: np.ndarray, size: tuple[int, int] | None) -> Picture:
    if size not in (None, (frame.shape[1], frame.shape[0])):
        shrinks = size[0] < frame.shape[1]
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    good, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise SourceError(f"{name} cannot be encoded as a JPEG")
    return Picture(name, jpeg.tobytes(), (frame.shape[1], frame.shape[0]))
