# SPDX-License-Identifier: Apache-2.0
"""``evitsam bag``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import semantic
from .measuring import frames_of_bag, measure_before
from .options import (
    add_backend,
    add_closer_looks,
    add_model,
    add_out,
    add_precision,
    add_prompts,
    closer_looks_of,
    path,
    prompts_of,
)
from .outputs import check_folder

if TYPE_CHECKING:
    import argparse


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "bag", help="segment a bag and write a copy of it with the masks; needs no ROS installation"
    )
    parser.add_argument("bag", type=path, help="folder of a bag, or its .mcap or .db3 file")
    parser.add_argument("--image-topic", default="", metavar="TOPIC", help="default: the only image topic")
    add_out(parser, "a new .mcap or .db3 file, or a new folder", required=True)
    add_prompts(parser)
    add_closer_looks(parser)
    add_model(parser)
    add_backend(parser)
    add_precision(parser)
    semantic.add_options(parser, with_labels=False)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..io.bags.answers import check_bag_out

    alone = semantic.is_asked_alone(options)
    check_bag_out(options.out)
    check_folder(options.out.parent, options.out)
    return _label(options) if alone else _segment(options)


def _segment(options: argparse.Namespace) -> int:
    from ..io.bags.answers import DETECTIONS, LABEL_MAP, OVERLAY, answer_bag
    from ..segment import Segmenter

    numbered, closer = dict(enumerate(prompts_of(options), start=1)) or None, closer_looks_of(options)
    measure_before(options, frames_of_bag(options.bag, options.image_topic), options.model)
    segmenter = Segmenter.open(options.model, options.backend, precision=options.precision)
    done = answer_bag(
        segmenter,
        options.bag,
        options.out,
        options.image_topic,
        prompts=numbered,
        top_n=options.max_prompts,
        closer=closer,
        name_masks=semantic.mask_namer(options) if options.semantic else None,
    )
    print(segmenter.description)
    topics = [LABEL_MAP, OVERLAY, *([DETECTIONS] if done.detections else [])]
    print(
        f"{done.frames} frames, {done.masks} masks, {len(done.ids)} ids -> {options.out}: {', '.join(topics)}"
    )
    if not done.detections:
        print("No detections: vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs)")
    return 0


def _label(options: argparse.Namespace) -> int:
    from ..io.bags.class_answers import LABEL_INFO, LABEL_MAP, OVERLAY, label_bag

    measure_before(options, frames_of_bag(options.bag, options.image_topic), semantic.model_of(options))
    segmenter = semantic.open_segmenter(options)
    done = label_bag(
        segmenter,
        options.bag,
        options.out,
        options.image_topic,
        score_threshold=options.score_threshold,
        tiles=options.tiles,
    )
    print(segmenter.description)
    topics = [LABEL_MAP, OVERLAY, *([LABEL_INFO] if done.detections else [])]
    print(f"{done.frames} frames -> {options.out}: {', '.join(topics)}")
    if not done.detections:
        print("No class names: vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs)")
    return 0
