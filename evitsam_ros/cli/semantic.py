# SPDX-License-Identifier: Apache-2.0
"""``evitsam segment --semantic``: the class of every pixel, and names for masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..bundle import DEFAULT_MODEL, DEFAULT_SEMANTIC
from .measuring import measure_before
from .outputs import check_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import numpy as np

    from ..dense import LabelMap, SemanticSegmenter
    from ..segment import Masks


def add_options(parser: argparse.ArgumentParser, *, with_labels: bool = True) -> None:
    """Add the options that are about classes; ``with_labels``: also ``--labels``, for a single image."""
    parser.add_argument(
        "--semantic",
        action="store_true",
        help="the class of every pixel; with prompts or --everything, the class of every mask",
    )
    parser.add_argument(
        "--semantic-model", metavar="MODEL", help=f"a semantic bundle (default: {DEFAULT_SEMANTIC})"
    )
    if with_labels:
        help_text = "with --semantic: label map as PNG, 0 void, 1 first class"
        parser.add_argument("--labels", type=Path, metavar="PATH", help=help_text)
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="with --semantic: pixels of less confidence are void",
    )
    parser.add_argument(
        "--tiles",
        action="store_true",
        help="with --semantic: large images in overlapping tiles at their own resolution, not scaled to the "
        "network's input",
    )


def is_asked_alone(options: argparse.Namespace) -> bool:
    """Return whether only classes are requested, and no masks; reject options that exclude each other."""
    labels = getattr(options, "labels", None)
    if not options.semantic:
        if options.semantic_model or labels or options.score_threshold or options.tiles:
            raise ValueError("--semantic-model, --labels, --score-threshold and --tiles are for --semantic")
        return False
    if not 0 <= options.score_threshold <= 1:
        raise ValueError(f"--score-threshold {options.score_threshold} is not between 0 and 1")
    if options.everything or options.point or options.box:
        if labels:
            raise ValueError("--labels is for --semantic without prompts")
        return False
    if options.model != DEFAULT_MODEL:
        raise ValueError("--model is for prompts; name the semantic bundle with --semantic-model")
    if getattr(options, "track", False):
        raise ValueError("--track is for masks; classes have no ids to follow")
    return True


def run(options: argparse.Namespace) -> int:
    """Segment an image, a video or a folder of frames by class."""
    from ..io.bags import is_bag
    from ..io.sources import is_sequence

    if is_bag(options.image):
        raise ValueError(
            f"{options.image} is a bag; 'evitsam bag --semantic' finds the classes of its images"
        )
    if options.image.exists() and is_sequence(options.image):
        return _segment_sequence(options)
    return _segment_image(options)


def mask_namer(options: argparse.Namespace) -> Callable[[np.ndarray, Masks], dict[int, str]]:
    """Open the semantic bundle; return a function that names the masks of an image by their majority class.

    A mask with only void pixels has no name.
    """
    from ..dense import SemanticSegmenter

    segmenter = SemanticSegmenter.open_beside(model_of(options), options.backend, 0, options.precision)
    threshold, tiles = options.score_threshold, options.tiles

    def names_of(image: np.ndarray, masks: Masks) -> dict[int, str]:
        return dict(segmenter.classify(image, masks, score_threshold=threshold, tiles=tiles).names)

    return names_of


def open_segmenter(options: argparse.Namespace) -> SemanticSegmenter:
    """Open the semantic bundle that was named, or the default one."""
    from ..dense import SemanticSegmenter

    return SemanticSegmenter.open(model_of(options), options.backend, precision=options.precision)


def model_of(options: argparse.Namespace) -> str:
    """Return the semantic bundle that was named, or the default one."""
    return options.semantic_model or DEFAULT_SEMANTIC


def _segment_image(options: argparse.Namespace) -> int:
    import cv2

    from ..io.image_files import check_image_ending, check_lossless_ending, read_image, write_image
    from .segment import beside

    image = cv2.cvtColor(read_image(options.image), cv2.COLOR_BGR2RGB)
    out = options.out or beside(options.image, "_semantic.png")
    check_file(out)
    check_image_ending(out)
    if options.labels is not None:
        check_file(options.labels)
        check_lossless_ending(options.labels)
    segmenter = open_segmenter(options)
    found = segmenter.segment(image, score_threshold=options.score_threshold, tiles=options.tiles)
    write_image(out, cv2.cvtColor(found.overlay(image), cv2.COLOR_RGB2BGR))
    if options.labels:
        write_image(options.labels, found.labels)
    if options.json:
        options.json.write(_as_json(found, segmenter, options.image))
    print(segmenter.description)
    for name, share in found.shares().items():
        print(f"{share:7.2%}  {name}")
    stages = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in found.timings.items())
    print(f"{len(found.shares())} classes ({stages}) -> {out}")
    return 0


def _segment_sequence(options: argparse.Namespace) -> int:
    import numpy as np

    from ..io.sources import open_sequence
    from .segment import beside, check_sequence_out
    from .sequence import Drawing

    if options.labels:
        raise ValueError("--labels is for a single image")
    sequence = open_sequence(options.image)
    out = options.out or beside(options.image, "_semantic.avi")
    check_sequence_out(out)
    measure_before(options, sequence.count, model_of(options))
    segmenter, drawing, frames = open_segmenter(options), Drawing(out, sequence.rate), []
    try:
        for name, bgr in sequence.frames:
            image = np.ascontiguousarray(bgr[..., ::-1])
            found = segmenter.segment(image, score_threshold=options.score_threshold, tiles=options.tiles)
            drawing.add(found.overlay(image))
            frames.append({"file_name": name, "shares": found.shares()})
        drawing.finish()
    finally:
        drawing.close()
    if options.json:
        report = {"model": segmenter.bundle.name, "frames": frames}
        options.json.write(report)
    print(segmenter.description)
    print(f"{len(frames)} frames -> {out}")
    return 0


def _as_json(found: LabelMap, segmenter: SemanticSegmenter, image: Path) -> dict:
    return {
        "image": image.name,
        "size": list(found.labels.shape),
        "model": segmenter.bundle.name,
        "labels": {name: value for value, name in enumerate(found.classes.names, start=1)},
        "shares": found.shares(),
    }
