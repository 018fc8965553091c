# SPDX-License-Identifier: Apache-2.0
"""``evitsam quantize``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .deprecated import take_positional_model
from .options import Number, add_model, add_out, add_threads, path

if TYPE_CHECKING:
    import argparse

#: Limit of numbers of images.
MANY = 1_000_000


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "quantize",
        help="give a bundle an int8 encoder for CPUs, measured on held-out images; from a checkout",
    )
    add_model(parser, required=True)
    take_positional_model(parser)
    parser.add_argument(
        "--data", type=path, required=True, metavar="PATH", help="folder with images/ and annotations/"
    )
    add_out(parser, "folder of a new bundle (default: the model's own, which gets the int8 encoder)")
    parser.add_argument(
        "--train-on",
        nargs="+",
        default=["*_train"],
        metavar="NAME",
        help="annotation files of training images, without .json (default: '*_train')",
    )
    parser.add_argument(
        "--calibration-images",
        type=Number(1, MANY),
        default=64,
        metavar="N",
        help="number of training images to measure ranges on (default: 64)",
    )
    parser.add_argument(
        "--accuracy-aware",
        action="store_true",
        help="return layers to float until boxes on training images lose at most 0.003 mIoU; takes longer",
    )
    parser.add_argument(
        "--held-out",
        default="coco_val",
        metavar="NAME",
        help="annotation file of held-out images for boxes and clicks (default: coco_val)",
    )
    parser.add_argument(
        "--everything-on",
        default="planar_ade_val",
        metavar="NAME",
        help="the same for everything mode, empty to leave it out (default: planar_ade_val)",
    )
    for option, of in (("--limit", "boxes and clicks"), ("--everything-limit", "everything mode")):
        parser.add_argument(
            option, type=Number(1, MANY), metavar="N", help=f"only the first so many held-out images of {of}"
        )
    parser.add_argument(
        "--clicks",
        type=Number(1, 20),
        nargs="+",
        default=[1, 3, 5],
        metavar="N",
        help="numbers of clicks to measure (default: 1 3 5)",
    )
    add_threads(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    try:
        from training.quantization.quantize import Options, quantize_bundle
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("training", "pycocotools"):
            raise
        raise ValueError(
            f"{error.name} is missing: 'evitsam quantize' measures held-out images with the training code. "
            "Run it from a checkout after 'make setup'"
        ) from error
    place = quantize_bundle(
        Options(
            model=options.model,
            data=options.data,
            out=options.out,
            training=tuple(options.train_on),
            images=options.calibration_images,
            held_out=options.held_out,
            everything=options.everything_on,
            limit=options.limit,
            everything_limit=options.everything_limit,
            clicks=tuple(options.clicks),
            threads=options.threads,
            accuracy_aware=options.accuracy_aware,
        )
    )
    print(f"{place}: encoder in int8, for backend openvino_int8")
    return 0
