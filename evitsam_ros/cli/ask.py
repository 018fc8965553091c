# SPDX-License-Identifier: Apache-2.0
"""Implement ``evitsam ask``: request masks from a running segmenter node."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from .options import add_json, add_out, add_prompts, path, prompts_of
from .outputs import check_file

if TYPE_CHECKING:
    from ..nodes.client import Answer


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("ask", help="ask a running segmenter node for masks of its camera's image")
    add_prompts(parser)
    parser.add_argument("--camera", default="", metavar="NAME", help="one of the node's cameras, by its name")
    parser.add_argument(
        "--node",
        default="/segmenter",
        metavar="NAME",
        help="fully qualified name of the node (default: /segmenter)",
    )
    parser.add_argument(
        "--image", type=path, metavar="FILE", help="segment this image in place of the camera's"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for the answer (default: 10)",
    )
    add_out(parser, "a mask, white inside the objects (default: mask.png)")
    add_json(parser, "; masks as RLE with boxes and scores")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    import cv2
    import numpy as np

    from ..io.image_files import check_lossless_ending, read_image, write_image
    from ..nodes.client import SegmenterClient

    prompts = prompts_of(options)
    out = options.out or path("mask.png")
    check_file(out)
    check_lossless_ending(out)
    image = None
    if options.image is not None:
        image = cv2.cvtColor(read_image(options.image), cv2.COLOR_BGR2RGB)
    with SegmenterClient(options.node, options.camera) as client:
        answer = client.segment(
            prompts,
            everything=options.everything,
            image=image,
            max_prompts=options.max_prompts if options.everything else 0,
            timeout=options.timeout,
        )
    write_image(out, answer.mask.astype(np.uint8) * np.uint8(255))
    if options.json:
        options.json.write(_as_json(answer))
    for item in answer.objects:
        box = ", ".join(f"{value:.1f}" for value in item.box)
        print(f"{item.identity:4d}  score {item.score:.3f}  box {box}  {item.class_name}")
    print(f"{len(answer.objects)} masks of the image of {answer.stamp_ns / 1e9:.3f} s -> {out}")
    return 0


def _as_json(answer: Answer) -> dict:
    from ..segment.rle import encode_rle

    return {
        "stamp_ns": answer.stamp_ns,
        "frame_id": answer.frame_id,
        "size": list(answer.size),
        "masks": [
            {
                "id": item.identity,
                "score": item.score,
                "box": item.box.tolist(),
                "segmentation": encode_rle(item.mask),
                "class": item.class_name,
            }
            for item in answer.objects
        ],
    }


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, more than 0 and at most 3600")
    return value
