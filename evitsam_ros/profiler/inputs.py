# SPDX-License-Identifier: Apache-2.0
"""Read the images of a profile as a camera driver would send them: JPEG bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING

import cv2

from ..installed import expand_user
from ..io.encodings import compressed_to_frame
from ..io.image_files import IMAGES, ImageFileError, read_image
from ..io.sources import SourceError, is_device, open_source, spread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from ..segment import Frame

#: JPEG quality, as common camera drivers use it.
QUALITY = 90
#: Max number of images per source.
MAX_IMAGES = 16
_HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="profile")


@dataclass(frozen=True)
class EncodedImage:
    """A compressed image.

    Attributes:
        name: of its source.
        jpeg: its bytes.
        size: (W, H) in pixels.
    """

    name: str
    jpeg: bytes
    size: tuple[int, int]

    @property
    def sha256(self) -> str:
        """Return the hash of the bytes."""
        return hashlib.sha256(self.jpeg).hexdigest()

    def decode(self) -> Frame:
        """Decode it as the node decodes a CompressedImage."""
        return compressed_to_frame(SimpleNamespace(data=self.jpeg, format="jpeg", header=_HEADER))


def open_images(sources: Sequence[str], size: tuple[int, int] | None) -> list[EncodedImage]:
    """Return the images of all sources, equal ones once.

    Args:
        sources: as :func:`~evitsam_ros.io.sources.open_source` takes them; a JPEG file keeps its own bytes if
            it has the requested size.
        size: (W, H) to resize to; None: as they are.

    Raises:
        SourceError: a source cannot be opened or is empty; names it.
    """
    found = []
    for source in sources:
        images = _of_source(source, size)
        if not images:
            raise SourceError(f"source {source!r} has no images")
        found += images
    return list({image.jpeg: image for image in found}.values())


def _of_source(source: str, size: tuple[int, int] | None) -> list[EncodedImage]:
    path = expand_user(source)
    if path.is_file() and path.suffix.lower() in IMAGES:
        return [_of_file(path, size)]
    frames = open_source(source, loop=False)
    if is_device(source):
        frames = islice(frames, MAX_IMAGES)  # a camera never ends
    kept = list({frame.tobytes(): frame for frame in spread(frames, MAX_IMAGES)}.values())
    names = [source if len(kept) == 1 else f"{source} #{number}" for number in range(len(kept))]
    return [_encode(name, frame, size) for name, frame in zip(names, kept, strict=True)]


def _of_file(path: Path, size: tuple[int, int] | None) -> EncodedImage:
    try:
        frame, content = read_image(path), path.read_bytes()
    except ImageFileError as error:
        raise SourceError(str(error)) from error
    own = (frame.shape[1], frame.shape[0])
    if path.suffix.lower() in (".jpg", ".jpeg") and size in (None, own):
        return EncodedImage(str(path), content, own)
    return _encode(str(path), frame, size)


def _encode(name: str, frame: np.ndarray, size: tuple[int, int] | None) -> EncodedImage:
    if size not in (None, (frame.shape[1], frame.shape[0])):
        shrinks = size[0] < frame.shape[1]
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    good, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not good:
        raise SourceError(f"{name} cannot be encoded as a JPEG")
    return EncodedImage(name, jpeg.tobytes(), (frame.shape[1], frame.shape[0]))
