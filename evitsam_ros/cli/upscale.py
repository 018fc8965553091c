# SPDX-License-Identifier: Apache-2.0
"""``evitsam upscale``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bundle import DEFAULT_UPSCALE
from .measuring import measure_before
from .options import add_backend, add_model, add_out, add_precision, path
from .outputs import check_file

if TYPE_CHECKING:
    import argparse


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("upscale", help="double the resolution of an image, a video or a folder")
    parser.add_argument("image", type=path, help="image, video file or folder of frames")
    add_model(parser, default=DEFAULT_UPSCALE)
    add_backend(parser)
    add_precision(parser)
    add_out(
        parser,
        "an image (default: IMAGE_x2.png); for a video or a folder, a video (default: IMAGE_x2.avi) or a "
        "folder",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..io.sources import is_sequence

    if options.image.exists() and is_sequence(options.image):
        return _upscale_sequence(options)
    return _upscale_image(options)


def _upscale_image(options: argparse.Namespace) -> int:
    import cv2

    from ..dense import Upscaler
    from ..io.image_files import check_image_ending, read_image, write_image
    from .segment import beside

    image = cv2.cvtColor(read_image(options.image), cv2.COLOR_BGR2RGB)
    out = options.out or beside(options.image, "_x2.png")
    check_file(out)
    check_image_ending(out)
    upscaler = Upscaler.open(options.model, options.backend, precision=options.precision)
    large = upscaler.upscale(image)
    write_image(out, cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    print(upscaler.description)
    print(f"{image.shape[1]}x{image.shape[0]} -> {large.shape[1]}x{large.shape[0]}: {out}")
    return 0


def _upscale_sequence(options: argparse.Namespace) -> int:
    import numpy as np

    from ..dense import Upscaler
    from ..io.sources import open_sequence
    from .segment import beside, check_sequence_out
    from .sequence import Drawing

    sequence = open_sequence(options.image)
    out = options.out or beside(options.image, "_x2.avi")
    check_sequence_out(out)
    measure_before(options, sequence.count, options.model)
    upscaler = Upscaler.open(options.model, options.backend, precision=options.precision)
    drawing, frames = Drawing(out, sequence.rate), 0
    try:
        for _, bgr in sequence.frames:
            drawing.add(upscaler.upscale(np.ascontiguousarray(bgr[..., ::-1])))
            frames += 1
        drawing.finish()
    finally:
        drawing.close()
    print(upscaler.description)
    print(f"{frames} frames -> {out}")
    return 0
