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
        help="give a bundle an int8 form for CPUs, measured on held-out images; from a checkout",
    )
    add_model(parser, required=True)
    take_positional_model(parser)
    parser.add_argument(
        "--data",
        type=path,
        required=True,
        metavar="PATH",
        help="folder with images/ and annotations/; for a semantic model that of a data set",
    )
    parser.add_argument(
        "--kind", metavar="NAME", help="layout of the data set of a semantic model, as camvid"
    )
    add_out(parser, "folder of a new bundle (default: the model's own, which gets the int8 form)")
    parser.add_argument(
        "--train-on",
        nargs="+",
        metavar="NAME",
        help="annotation files of training images, without .json (default: '*_train'); of a semantic model "
        "the split (default: train)",
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
        metavar="NAME",
        help="annotation file of held-out images for boxes and clicks (default: coco_val); of a semantic "
        "model the split (default: val)",
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
    from ..bundle import bundle_kind

    try:
        from training.quantization.quantize import Options, quantize_bundle
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("training", "pycocotools"):
            raise
        raise ValueError(
            f"{error.name} is missing: 'evitsam quantize' measures held-out images with the training code. "
            "Run it from a checkout after 'make setup'"
        ) from error
    if options.kind is not None or bundle_kind(options.model) == "semantic":
        return _quantize_semantic(options)
    place = quantize_bundle(
        Options(
            model=options.model,
            data=options.data,
            out=options.out,
            training=tuple(options.train_on or ["*_train"]),
            images=options.calibration_images,
            held_out=options.held_out or "coco_val",
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


def _quantize_semantic(options: argparse.Namespace) -> int:
    from training.label_maps import LAYOUTS
    from training.quantization.semantic import SemanticOptions, quantize_semantic

    splits = options.train_on or ["train"]
    if options.kind not in LAYOUTS:
        raise ValueError(f"--kind is {options.kind}; expected {', '.join(LAYOUTS)} for a semantic model")
    if len(splits) != 1:
        raise ValueError(f"--train-on has {len(splits)} names; expected one split for a semantic model")
    if options.accuracy_aware:
        raise ValueError("--accuracy-aware is for promptable models")
    place = quantize_semantic(
        SemanticOptions(
            model=options.model,
            data=options.data,
            kind=options.kind,
            out=options.out,
            training=splits[0],
            images=options.calibration_images,
            held_out=options.held_out or "val",
            limit=options.limit,
            threads=options.threads,
        )
    )
    print(f"{place}: network in int8, for backend openvino_int8")
    return 0
