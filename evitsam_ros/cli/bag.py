# SPDX-License-Identifier: Apache-2.0
"""``evitsam bag``."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_model, add_prompts, path, prompts_of
from .outputs import check_folder


def add(commands) -> None:
    parser = commands.add_parser(
        "bag", help="a bag in, the same bag with masks out; ROS need not be installed"
    )
    parser.add_argument("bag", type=path, help="a bag's folder, or its .mcap or .db3 file")
    parser.add_argument("--image-topic", default="", help="default: the only one")
    parser.add_argument("--out", type=Path, required=True, help=".mcap or .db3 file, or a folder; a new one")
    add_prompts(parser)
    add_model(parser)


def run(options: argparse.Namespace) -> int:
    from ..io.bags.answers import DETECTIONS, LABEL_MAP, OVERLAY, answer_bag, check_bag_out
    from ..segment import Segmenter

    numbered = dict(enumerate(prompts_of(options), start=1)) or None
    check_bag_out(options.out)
    check_folder(options.out.parent, options.out)
    segmenter = Segmenter.open(options.model, options.backend)
    done = answer_bag(
        segmenter, options.bag, options.out, options.image_topic, prompts=numbered, top_n=options.top_n
    )
    print(segmenter.description)
    topics = [LABEL_MAP, OVERLAY, *([DETECTIONS] if done.detections else [])]
    print(
        f"{done.frames} frames, {done.masks} masks, {len(done.ids)} ids -> {options.out}: {', '.join(topics)}"
    )
    if not done.detections:
        print("No detections: vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs)")
    return 0
