# SPDX-License-Identifier: Apache-2.0
"""``evitsam build | verify | engines``: arguments. The work is in :mod:`evitsam_ros.tensorrt.commands`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..segment.prompt import MAX_POINTS
from .deprecated import take_positional_model
from .options import (
    Number,
    add_backend,
    add_batch,
    add_images,
    add_json,
    add_model,
    add_precision,
    add_prompt_ranges,
    add_target,
)

if TYPE_CHECKING:
    import argparse

EXAMPLES = "example:astronaut,coffee"


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command's parser."""
    _add_build(
        commands.add_parser(
            "build",
            help="build TensorRT engines of a bundle, or choose its CPU backends, and verify the masks",
        )
    )
    _add_verify(commands.add_parser("verify", help="compare the masks of a backend with those of float32"))
    _add_engines(commands.add_parser("engines", help="list, check and prune the engines in the cache"))


def _add_build(parser: argparse.ArgumentParser) -> None:
    take_positional_model(parser)
    add_model(parser)
    add_precision(parser, "fp16")
    add_target(parser)
    add_prompt_ranges(parser, "build makes an optimization profile of each range")
    parser.add_argument(
        "--points",
        type=Number(1, MAX_POINTS),
        default=MAX_POINTS,
        metavar="N",
        help=f"maximum number of points of a prompt (default: {MAX_POINTS}); fewer need less GPU memory",
    )
    add_batch(parser, (1,), "build takes the largest as maximum, for several cameras")
    parser.add_argument(
        "--tensorrt", choices=("tensorrt", "tensorrt_rtx"), help="which one to use if both are installed"
    )
    parser.add_argument(
        "--via",
        choices=("onnx", "torch2trt"),
        default="onnx",
        help="torch2trt builds encoder and AutoPPN from the bundle's checkpoint (TensorRT up to 10)",
    )
    parser.add_argument(
        "--rewrite",
        action="store_true",
        help="scale values that exceed the range of fp16 instead of keeping nodes in fp32, where possible",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the engines to build, and exit")
    parser.add_argument("--layers", action="store_true", help="print the rounding error of every layer")
    _add_examples(parser)
    parser.set_defaults(run=_run_build)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    take_positional_model(parser)
    add_model(parser)
    add_backend(parser)
    add_precision(parser, "fp32")
    add_json(parser)
    _add_examples(parser)
    parser.set_defaults(run=_run_verify)


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete broken and unfinished engines; no engine is deleted while a build runs",
    )
    add_json(parser)
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="ENGINE",
        help="copy an engine that was built elsewhere into the cache without verifying it. An engine is code "
        "that runs on this machine",
    )
    parser.add_argument(
        "--network",
        metavar="MODEL:NETWORK",
        help="with --trust: the network that the engine is made of, as lite_sam:encoder",
    )
    add_precision(parser, "fp16", "; with --trust")
    add_target(parser, "; with --trust")
    parser.set_defaults(run=_run_engines)


def _add_examples(parser: argparse.ArgumentParser) -> None:
    add_images(parser, EXAMPLES, "two photographs of the package")
    parser.add_argument(
        "--count", type=Number(1, 10_000), default=2, metavar="N", help="number of images to use (default: 2)"
    )


def _run_build(options: argparse.Namespace) -> int:
    if options.target == "cpu":
        from ..autotune.commands import run_measure

        return run_measure(options)
    from ..tensorrt.commands import run_build

    options.precision = _of_engines(options.precision)
    return run_build(options)


def _run_verify(options: argparse.Namespace) -> int:
    from ..tensorrt.commands import run_verify

    return run_verify(options)


def _run_engines(options: argparse.Namespace) -> int:
    from ..tensorrt.commands import run_engines

    options.precision = _of_engines(options.precision)
    return run_engines(options)


def _of_engines(precision: str) -> str:
    """Return the precision of engines: of ``auto`` the one that is tried first."""
    return "fp16" if precision == "auto" else precision
