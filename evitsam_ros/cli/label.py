# SPDX-License-Identifier: Apache-2.0
"""``evitsam label``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import Number, add_backend, add_json, add_model, add_prompts

if TYPE_CHECKING:
    import argparse

#: Exit status where some inputs were set aside and the others are done.
SET_ASIDE = 3


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "label",
        help="label recordings and data sets: masks of every image as Parquet, on one machine or many",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, folder of images, video, bag or tar shard; a glob, a list of these (.txt), or a URL",
    )
    parser.add_argument(
        "--out", metavar="PATH", help="where the result is written; a folder or a URL, an earlier run goes on"
    )
    add_prompts(parser)
    parser.add_argument(
        "--detections", default="", metavar="TOPIC", help="prompts: a detector's topic in the bag"
    )
    parser.add_argument(
        "--track",
        action="store_true",
        help="track objects through a video or a folder: ids stay the same and prompts follow their object; "
        "recordings are then not cut",
    )
    parser.add_argument(
        "--semantic",
        action="store_true",
        help="the class of every pixel; with prompts or --everything of each mask, else a mask a class",
    )
    parser.add_argument("--semantic-model", metavar="MODEL", help="a semantic bundle")
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="with --semantic: pixels of less confidence are void",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="image topic of the bags; may be repeated (default: all)",
    )
    parser.add_argument(
        "--cut",
        type=Number(0, 10**9),
        metavar="FRAMES",
        help="length of the parts that a recording is cut into; 0: not cut (default: 3000, with --track 0)",
    )
    add_model(parser)
    add_backend(parser)
    parser.add_argument(
        "--bags", action="store_true", help="also write the answered bags, with ids (--track)"
    )
    parser.add_argument(
        "--coco",
        type=Path,
        metavar="FILE",
        help="write the labels of INPUT, a folder of labels, in COCO format",
    )
    parser.add_argument(
        "--workers", type=Number(1, 100_000), metavar="N", help="number of workers, by Ray on this machine"
    )
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS", help="join a cluster of Ray; auto: this machine's"
    )
    parser.add_argument(
        "--threads",
        type=Number(0, 1024),
        default=0,
        metavar="N",
        help="CPU threads of each network (default: 0, the cores shared by the workers)",
    )
    add_json(parser, "; counts, speed, and failures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if options.coco is not None:
        return _write_coco(options)
    if not options.out:
        raise ValueError("give --out FOLDER, where the labels are written")
    from ..labelling import label
    from ..labelling.run import Workers

    workers = Workers(options.workers or 0, options.ray, options.threads)
    with _Bar() as bar:
        summary = label(options.inputs, options.out, job_of(options), workers, bar.show)
    if options.json:
        options.json.write(summary.as_json())
    earlier = f", {summary.earlier} of {summary.units} parts from earlier runs" if summary.earlier else ""
    damaged = f", {summary.damaged} damaged" if summary.damaged else ""
    rate = summary.images / summary.seconds if summary.seconds else 0.0
    print(
        f"{summary.images} images ({rate:.2f} a second){damaged}, {summary.masks} masks{earlier} "
        f"-> {options.out}"
    )
    if not summary.failed:
        return 0
    print(f"evitsam label: {len(summary.failed)} set aside:", file=sys.stderr)
    for title, reason in summary.failed.items():
        print(f"  {title}: {reason}", file=sys.stderr)
    return SET_ASIDE


def job_of(options: argparse.Namespace):
    """Return the job that the options define.

    Raises:
        JobError: Options that do not go together.
    """
    from ..bundle import DEFAULT_SEMANTIC
    from ..labelling import Job
    from ..labelling.job import DEFAULT_CUT

    if not options.semantic and (options.semantic_model or options.score_threshold):
        raise ValueError("--semantic-model and --score-threshold are for --semantic")
    track = options.track or options.bags
    cut = options.cut if options.cut is not None else (0 if track else DEFAULT_CUT)
    if options.bags and cut:
        raise ValueError("--bags writes complete recordings; omit --cut")
    return Job(
        model=options.model,
        backend=options.backend,
        everything=options.everything,
        points=tuple(tuple(point) for point in options.point),
        boxes=tuple(tuple(box) for box in options.box),
        max_prompts=options.max_prompts,
        detections=options.detections,
        track=track,
        semantic=options.semantic,
        semantic_model=options.semantic_model or DEFAULT_SEMANTIC,
        score_threshold=options.score_threshold,
        image_topics=tuple(sorted(set(options.topic))),
        cut=cut,
        bags=options.bags,
    )


def _write_coco(options: argparse.Namespace) -> int:
    from ..labelling.coco import write_coco

    if len(options.inputs) != 1 or options.out:
        raise ValueError("--coco takes one folder of labels as INPUT, and no --out")
    images, masks = write_coco(options.inputs[0], options.coco)
    print(f"{images} images, {masks} masks -> {options.coco}")
    return 0


class _Bar:
    """A progress bar on stderr: images, images a second, failures, time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, expected: int, summary) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(total=expected or None, desc="label", unit="image", smoothing=0.1)
        self._bar.set_postfix_str(f"{len(summary.failed)} set aside", refresh=False)
        self._bar.update(summary.images - self._bar.n)
