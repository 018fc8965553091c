# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..backends import backend_choices
from ..bundle import DEFAULT_MODEL


def path(text: str) -> Path:
    """A path that is read; an empty one, which would be the current folder, is a mistake."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, not nothing")
    return Path(text)


def add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--point",
        type=_point,
        action="append",
        default=[],
        metavar="X,Y[,LABEL]",
        help="a point of the object (label 1) or of the background (0); all points are one object",
    )
    parser.add_argument(
        "--box",
        type=_box,
        action="append",
        default=[],
        metavar="X0,Y0,X1,Y1",
        help="a box around an object; each box is an object",
    )
    parser.add_argument("--everything", action="store_true", help="all objects")
    parser.add_argument("--top-n", type=int, default=64, help="prompts in everything mode (default 64)")


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="a bundle's name or folder (default: %(default)s)"
    )
    parser.add_argument("--backend", default="auto", help=f"runtime: {', '.join(backend_choices())}")


def _numbers(text: str, counts: tuple[int, ...], form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return numbers


def _point(text: str) -> list[float]:
    numbers = _numbers(text, (2, 3), "X,Y or X,Y,LABEL")
    return numbers if len(numbers) == 3 else [*numbers, 1.0]


def _box(text: str) -> list[float]:
    return _numbers(text, (4,), "X0,Y0,X1,Y1")


def prompts_of(options: argparse.Namespace) -> list:
    """What was asked for; empty for everything."""
    from ..segment import Prompt

    prompts = [Prompt(box=box) for box in options.box]
    if options.point:
        points = [point[:2] for point in options.point]
        prompts.append(Prompt(points=points, labels=[point[2] for point in options.point]))
    if bool(prompts) == options.everything:
        raise ValueError("give --point or --box, or else --everything")
    return prompts
