# SPDX-License-Identifier: Apache-2.0
"""``evitsam bench``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bundle import DEFAULT_MODEL


def add(commands) -> None:
    parser = commands.add_parser("bench", help="latency by stage and runtime on this machine")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--everything",
        type=Path,
        metavar="IMAGE",
        help="everything mode against grids, a box against its floor",
    )
    parser.add_argument("--json", type=Path)


def run(options: argparse.Namespace) -> int:
    from ..profiler.cpu import bench

    if options.everything:
        return _bench_everything(options)
    return bench(options.model, options.repeats, options.threads, options.json)


def _bench_everything(options: argparse.Namespace) -> int:
    import cv2

    from ..bundle import open_bundle
    from ..io.image_files import read_image
    from ..models.specs import model_spec
    from ..profiler.everything import bench_everything

    image = cv2.cvtColor(read_image(options.everything), cv2.COLOR_BGR2RGB)
    # A decoded prompt is some 5 % of the encoder's work: the floor leaves it out.
    macs = model_spec(open_bundle(options.model).name).macs
    return bench_everything(options.model, image, max(options.repeats, 1), macs, options.json)
