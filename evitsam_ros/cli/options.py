# SPDX-License-Identifier: Apache-2.0
"""The options that several commands share. Each is defined once: same name, same type, same meaning.

A command may add details to the help text after a semicolon.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

from ..backends import PRECISION_CHOICES, backend_choices
from ..bundle import DEFAULT_MODEL, installed_bundles

#: Limits of a decoder call, of an encoder call, and of the repetitions of a measurement.
MAX_PROMPTS, MAX_BATCH, MAX_RUNS = 1024, 64, 100_000
STDOUT = Path("-")

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class JsonOutput:
    """Where ``--json`` writes.

    Attributes:
        path: a file; ``-`` for stdout.
        stream: stdout as it was when the command line was parsed.
    """

    path: Path
    stream: TextIO = field(default_factory=lambda: sys.stdout, compare=False, repr=False)

    @property
    def to_stdout(self) -> bool:
        """Return whether the target is stdout."""
        return self.path == STDOUT

    def write(self, content: Any) -> None:
        """Write ``content`` as JSON.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(content, indent=1) + "\n"
        if self.to_stdout:
            self.stream.write(text)
        else:
            self.path.write_text(text)


def path(text: str) -> Path:
    """Parse a path that is read. Reject an empty one, which would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, not an empty string")
    return Path(text)


def json_output(text: str) -> JsonOutput:
    """Parse the value of ``--json``."""
    return JsonOutput(path(text))


@dataclass(frozen=True)
class Number:
    """A parser of integers from ``minimum`` to ``maximum``; equal limits are equal types."""

    minimum: int
    maximum: int

    def __call__(self, text: str) -> int:
        """Parse a number, or raise ``ArgumentTypeError``."""
        with suppress(ValueError):
            if self.minimum <= (value := int(text)) <= self.maximum:
                return value
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from {self.minimum} to {self.maximum}")


def ranges(text: str) -> Ranges:
    """Parse ``1..16,64``: ranges and single numbers of prompts, different ones."""
    try:
        found = tuple(_range(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(1 <= a <= b <= MAX_PROMPTS for a, b in found):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected different ranges or numbers from 1 to {MAX_PROMPTS}, as 1..16,64..256"
        )
    return found


def _range(text: str) -> tuple[int, int]:
    first, separator, last = text.partition("..")
    return int(first), int(last if separator else first)


def counts(text: str) -> tuple[int, ...]:
    """Parse ``1,2,4``: different numbers of images."""
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or not all(1 <= count <= MAX_BATCH for count in found):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected different numbers from 1 to {MAX_BATCH}, as 1,4"
        )
    return found


def add_model(
    parser: argparse.ArgumentParser,
    required: bool = False,
    details: str = "",
    default: str = DEFAULT_MODEL,
) -> None:
    """Add ``--model``, and the positional argument that some commands had before."""
    shown = "" if required else f" (default: {default})"
    # The old positional argument takes its place only if it is given; see deprecated.py.
    option = parser.add_argument(
        "--model",
        metavar="MODEL",
        default=None if required else default,
        help=f"name of a model, as listed by 'evitsam models', or folder of a bundle{details}{shown}",
    )
    # argcomplete reads this attribute.
    cast("Any", option).completer = lambda **_: sorted(installed_bundles())


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend``."""
    parser.add_argument(
        "--backend",
        choices=backend_choices(),
        default="auto",
        help="inference runtime (default: auto, the fastest that is installed)",
    )


def add_precision(parser: argparse.ArgumentParser, default: str = "auto", details: str = "") -> None:
    """Add ``--precision``."""
    parser.add_argument(
        "--precision",
        choices=PRECISION_CHOICES,
        default=default,
        help=f"numeric precision of the networks{details} (default: {default})",
    )


def add_json(parser: argparse.ArgumentParser, details: str = "") -> None:
    """Add ``--json``."""
    parser.add_argument(
        "--json",
        type=json_output,
        metavar="PATH",
        help=f"write the result as JSON to this file, or to stdout if PATH is '-'{details}",
    )


def add_html(parser: argparse.ArgumentParser) -> None:
    """Add ``--html``."""
    parser.add_argument(
        "--html",
        type=Path,
        metavar="PATH",
        help="write the report as one self-contained HTML page; needs jinja2 and matplotlib",
    )


def add_out(parser: argparse.ArgumentParser, details: str, required: bool = False) -> None:
    """Add ``--out``."""
    parser.add_argument(
        "--out", type=Path, metavar="PATH", required=required, help=f"where the result is written; {details}"
    )


def add_prompts(parser: argparse.ArgumentParser) -> None:
    """Add the options of points, boxes or everything mode."""
    parser.add_argument(
        "--point",
        type=_point,
        action="append",
        default=[],
        metavar="X,Y[,LABEL]",
        help="a point on the object (label 1) or on the background (label 0); all points are one object",
    )
    parser.add_argument(
        "--box",
        type=_box,
        action="append",
        default=[],
        metavar="X0,Y0,X1,Y1",
        help="a box around an object; each box is one object",
    )
    add_everything(parser, "")
    add_max_prompts(parser)


def add_everything(parser: argparse.ArgumentParser, details: str) -> None:
    """Add ``--everything``."""
    parser.add_argument("--everything", action="store_true", help=f"everything mode{details}")


def add_max_prompts(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-prompts``."""
    parser.add_argument(
        "--max-prompts",
        type=Number(1, MAX_PROMPTS),
        default=64,
        metavar="N",
        help="maximum number of prompts in everything mode (default: 64)",
    )


def add_closer_looks(parser: argparse.ArgumentParser, details: str = "") -> None:
    """Add ``--closer-looks``."""
    parser.add_argument(
        "--closer-looks",
        type=Number(0, MAX_PROMPTS),
        default=0,
        metavar="N",
        help="encode a square around so many prompted objects of each image once more, the smallest first"
        f"{details} (default: 0)",
    )


def closer_looks_of(options: argparse.Namespace) -> Any:
    """Return the requested closer looks; None if there are none.

    Raises:
        ValueError: they were requested with everything mode, which has no prompted objects.
    """
    from ..segment import CloserLooks

    if options.closer_looks and options.everything:
        raise ValueError("--closer-looks is for --point and --box; everything mode has no prompted objects")
    return CloserLooks(options.closer_looks) if options.closer_looks else None


def add_images(parser: argparse.ArgumentParser, default: str, details: str) -> None:
    """Add ``--images``."""
    parser.add_argument(
        "--images",
        nargs="+",
        default=[default],
        metavar="SOURCE",
        help="images, folders, videos or bags (BAG:TOPIC) to measure on, best from your own camera; "
        f"default: {details}",
    )


def add_prompt_ranges(parser: argparse.ArgumentParser, details: str) -> None:
    """Add ``--prompts`` as ranges."""
    parser.add_argument(
        "--prompts",
        type=ranges,
        default=((1, 16), (64, 256)),
        metavar="N..M,N",
        help=f"numbers of prompts in a decoder call; {details} (default: 1..16,64..256)",
    )


def add_batch(parser: argparse.ArgumentParser, default: tuple[int, ...], details: str) -> None:
    """Add ``--batch``."""
    shown = ",".join(str(count) for count in default)
    parser.add_argument(
        "--batch",
        type=counts,
        default=default,
        metavar="N,N",
        help=f"numbers of images in an encoder call; {details} (default: {shown})",
    )


def add_target(parser: argparse.ArgumentParser, details: str = "") -> None:
    """Add ``--target``."""
    parser.add_argument(
        "--target",
        default="auto",
        metavar="GPU",
        help="GPU of the engine: auto for this machine's (default), sm80, sm86, sm89, …; cpu: measure this "
        f"machine's CPU backends{details}",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument(
        "--threads",
        type=Number(0, 1024),
        default=0,
        metavar="N",
        help="CPU threads of each network (default: 0, one for each core)",
    )


def add_runs(parser: argparse.ArgumentParser, default: int) -> None:
    """Add ``--runs``."""
    parser.add_argument(
        "--runs",
        type=Number(1, MAX_RUNS),
        default=default,
        metavar="N",
        help=f"timed repetitions (default: {default})",
    )


def _numbers(text: str, lengths: tuple[int, ...], form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in lengths:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return numbers


def _point(text: str) -> list[float]:
    numbers = _numbers(text, (2, 3), "X,Y or X,Y,LABEL")
    return numbers if len(numbers) == 3 else [*numbers, 1.0]


def _box(text: str) -> list[float]:
    return _numbers(text, (4,), "X0,Y0,X1,Y1")


def prompts_of(options: argparse.Namespace) -> list:
    """Return the prompts that were given; an empty list for everything mode.

    Raises:
        ValueError: neither prompts nor everything mode, or both.
    """
    from ..segment import Prompt

    prompts = [Prompt.parse(box=box) for box in options.box]
    if options.point:
        points = [point[:2] for point in options.point]
        prompts.append(Prompt.parse(points=points, labels=[point[2] for point in options.point]))
    if bool(prompts) == options.everything:
        raise ValueError("give --point or --box, or else --everything")
    return prompts
