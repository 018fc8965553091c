# SPDX-License-Identifier: Apache-2.0
"""Score a bundle by the field's protocols: tables, JSON, and images of the best, median and worst cases.

``python -m training.evaluate boxes --model lite_sam --data DATA --on coco_val --clicks 1 3 5``; see
``training/README.md`` for the command of every published number.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evitsam_ros.cli.deprecated import rename_options
from evitsam_ros.cli.options import add_backend, add_json, add_model
from evitsam_ros.io.sources import open_source
from evitsam_ros.labelling.on_ray import connected
from evitsam_ros.segment import Segmenter

from .annotations import read_folder
from .evaluation.baselines import BASELINES
from .evaluation.cost import network_costs, seconds
from .evaluation.detections import average_precision
from .evaluation.detector_files import BOX_FORMS, NUMBERINGS
from .evaluation.edges import EDGE_BASELINES, score_edges
from .evaluation.empty import score_empty_images
from .evaluation.examples import Examples
from .evaluation.ground_truth import checked_instances
from .evaluation.number_of_clicks import score_clicks
from .evaluation.prompted import score_prompts
from .evaluation.recall import check_exhaustive, everything_recall
from .evaluation.record_scoring import RayScoring, ScoreRecords, score_in_process
from .evaluation.report import Table, count, run_evaluation
from .evaluation.round_trips import score_round_trips
from .evaluation.shown import score_shown
from .evaluation.tracking import score_everything, score_followed
from .evaluation.wild import find_sets, score_wild, write_prompts
from .records import Record, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Deprecated and present name of options; the old names work for one more release.
RENAMED = {
    "--out": "--json",
    "--top-n": "--max-prompts",
    "--cases": "--examples-dir",
    "--whole": "--no-foveal",
    "--told": "--proposal-prompt",
}


def boxes(options: argparse.Namespace, segmenter: Segmenter | None) -> dict[str, Table]:
    """Score GT-box and k-click mIoU and boundary IoU."""
    report = {}
    for name, records in _records(options):
        examples = Examples() if options.examples_dir else None
        report[name] = score_prompts(
            segmenter,
            records,
            tuple(options.clicks),
            tuple(options.baselines),
            examples,
            options.score_records,
            options.closer,
        )
        if examples is not None and examples.all:
            examples.write(options.examples_dir / f"{name}.jpg")
    return report


def clicks(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Score the number of clicks to an IoU of 0.80 and 0.85 (NoC@80, NoC@85)."""
    return {name: score_clicks(segmenter, records, options.objects) for name, records in _records(options)}


def everything(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Score mask AR@1000, with AutoPPN's proposals and with point grids, and the precision of published
    masks.
    """
    data = _records(options)
    for name in options.on:
        for file in (options.data / "annotations").glob(f"{name}.json"):
            check_exhaustive(file)
    return {name: _everything(options, segmenter, records) for name, records in data}


def _everything(options: argparse.Namespace, segmenter: Segmenter, records: list[Record]) -> Table:
    def row(proposal_prompt: str = "", *, foveal: bool = True) -> dict[str, float]:
        how = {"foveal": foveal, "proposals_as": proposal_prompt, "spread": options.score_records}
        recall = everything_recall(segmenter, records, options.max_prompts, **how)
        return recall | score_shown(segmenter, records, options.max_prompts, **how)

    label = f"AutoPPN {options.max_prompts}"
    table = {label: row()}
    for proposal_prompt in options.proposal_prompt:
        table[f"{label}, {proposal_prompt}"] = row(proposal_prompt)
    if options.no_foveal:
        table[f"{label}, whole image"] = row(foveal=False)
    for side in options.grids:
        recall = everything_recall(segmenter, records, side * side, side, score_records=options.score_records)
        table[f"grid {side}x{side}"] = recall
    return table


def empty(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Count the masks of everything mode on images without objects."""
    return {segmenter.bundle.name: score_empty_images(segmenter, options.max_prompts)}


def edges(options: argparse.Namespace, segmenter: Segmenter | None) -> dict[str, Table]:
    """Score BSDS500 boundaries: ODS, OIS, AP, R50."""
    report = {}
    for name, records in _records(options):
        baselines = tuple(options.baselines)
        found = score_edges(segmenter, records, options.max_prompts, options.thresholds, baselines)
        report[name] = {
            method: {k.upper(): v for k, v in dataclasses.asdict(score).items() if isinstance(v, float)}
            for method, score in found.items()
        }
    return report


def detections(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Score mask AP of a detector's boxes, or of the ground-truth boxes."""
    with checked_instances(options.annotations) as annotations:
        score = average_precision(
            segmenter,
            annotations,
            options.images,
            options.detections,
            options.protocol,
            boxes=options.boxes,
            numbering=options.numbering,
        )
    title = "GT boxes" if options.detections is None else options.detections.name
    return {title: {options.protocol.upper(): score}}


def wild(options: argparse.Namespace, segmenter: Segmenter | None) -> dict[str, Table]:
    """Score Segmentation in the Wild: mask AP of a detector's boxes on 25 data sets, and the mean."""
    sets = find_sets(options.data)
    if options.write_prompts:
        write_prompts(sets, options.write_prompts)
    if options.detections is None:
        if not options.write_prompts:
            raise ValueError("expected --detections FOLDER, or --write-prompts FILE for a detector")
        return {}
    if segmenter is None:
        raise ValueError("masks need --model")
    return {
        "SGinW": score_wild(
            segmenter, sets, options.detections, boxes=options.boxes, numbering=options.numbering
        )
    }


def tracking(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Score the stability of ids while the camera moves: everything mode, and prompts of the first frame."""
    report = {}
    for name, records in _records(options):
        table: Table = {}
        for label, track in (("without tracking", False), ("tracked", True)):
            table[f"everything, {label}"] = score_everything(
                segmenter, records, options.frames, options.max_prompts, track=track
            )
        for kind in ("box", "point"):
            for label, track in (("stays", False), ("followed", True)):
                table[f"{kind}, {label}"] = score_followed(
                    segmenter, records, options.frames, kind, follow=track
                )
        report[name] = table
    return report


def roundtrips(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Score the stability of ids on an unlabelled sequence, played forwards and backwards."""
    frames = [frame[..., ::-1].copy() for frame in open_source(options.sequence, loop=False)][: options.limit]
    return {
        Path(options.sequence).name: {
            f"{reach} frames and back": score_round_trips(segmenter, frames, reach, options.max_prompts)
            for reach in options.reach
        }
    }


def cost(options: argparse.Namespace, segmenter: Segmenter) -> dict[str, Table]:
    """Parameters, multiply-adds and seconds on this machine."""
    name = segmenter.bundle.name
    table = {part: dataclasses.asdict(c) for part, c in network_costs(name).items()}
    record = next(readable(read_folder(options.data, options.on)))
    times = seconds(segmenter, record.read_image(), options.max_prompts)
    return {name: table | {job: {"seconds": value} for job, value in times.items()}}


def _records(options: argparse.Namespace) -> list[tuple[str, list[Record]]]:
    return [(name, list(readable(read_folder(options.data, [name])[: options.limit]))) for name in options.on]


def _add_forms(added: argparse.ArgumentParser) -> None:
    """Add the options that interpret a detector's file."""
    added.add_argument("--boxes", choices=BOX_FORMS, default="auto", help="format of the boxes in the file")
    added.add_argument(
        "--numbering", choices=NUMBERINGS, default="auto", help="meaning of the category numbers in the file"
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of all evaluation commands."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)

    def command(job: Any, *, model_needed: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(job.__name__, help=job.__doc__.splitlines()[0])
        added.set_defaults(job=job)
        add_model(added, required=True)
        added.set_defaults(model_needed=model_needed)
        add_backend(added)
        add_json(added)
        return added

    def over_workers(added: argparse.ArgumentParser) -> None:
        added.add_argument("--workers", type=count, help="number of Ray workers on this machine")
        added.add_argument("--ray", default="", metavar="ADDRESS", help="address of a Ray cluster to join")

    def on_data(added: argparse.ArgumentParser, default: str) -> None:
        added.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
        added.add_argument("--on", nargs="+", default=[default], help="annotation files, without .json")
        added.add_argument("--limit", type=count, help="max number of images")
        added.add_argument("--max-prompts", type=count, default=256, metavar="N", help="proposals to decode")

    added = command(boxes, model_needed=False)
    on_data(added, "coco_val")
    added.add_argument("--clicks", type=count, nargs="*", default=[1, 3, 5])
    added.add_argument("--baselines", nargs="*", default=[], choices=sorted(BASELINES))
    over_workers(added)
    added.add_argument(
        "--closer",
        type=count,
        default=0,
        metavar="N",
        help="also score closer looks at N objects of each image",
    )
    added.add_argument(
        "--examples-dir",
        type=Path,
        metavar="PATH",
        help="write images of the best and worst masks to this folder",
    )
    added = command(clicks)
    on_data(added, "coco_val")
    added.add_argument("--objects", type=count, help="max number of objects")
    added = command(everything)
    on_data(added, "planar_ade_val")
    over_workers(added)
    added.add_argument(
        "--grids", type=count, nargs="*", default=[], help="also score point grids with these sides"
    )
    added.add_argument("--no-foveal", action="store_true", help="also decode every prompt on the whole image")
    added.add_argument(
        "--proposal-prompt",
        nargs="*",
        default=[],
        choices=("boxes", "points"),
        help="also decode proposals as these prompts, in place of the bundle's setting",
    )
    command(empty).add_argument(
        "--max-prompts", type=count, default=256, metavar="N", help="proposals to decode"
    )
    added = command(edges, model_needed=False)
    on_data(added, "bsds500_val")
    added.add_argument("--thresholds", type=count, default=33)
    added.add_argument("--baselines", nargs="*", default=[], choices=sorted(EDGE_BASELINES))
    added = command(detections)
    added.add_argument("--detections", type=Path, help="a detector's boxes (default: those of the masks)")
    added.add_argument("--annotations", type=Path, required=True, help="instances in COCO's or LVIS's format")
    added.add_argument("--images", type=Path, required=True, help="folder of the images")
    added.add_argument("--protocol", choices=["coco", "lvis"], default="coco")
    _add_forms(added)
    added = command(wild, model_needed=False)
    added.add_argument("--data", type=Path, required=True, help="folder with one folder per data set")
    added.add_argument(
        "--detections", type=Path, metavar="PATH", help="folder with one NAME.json per data set"
    )
    added.add_argument(
        "--write-prompts",
        type=Path,
        metavar="PATH",
        help="write the class names, the detector's prompts, to this file",
    )
    _add_forms(added)
    added = command(tracking)
    on_data(added, "coco_val")
    added.set_defaults(max_prompts=64)
    added.add_argument("--frames", type=count, default=20, help="number of views of each image")
    added = command(roundtrips)
    added.add_argument("--sequence", required=True, help="folder of frames, video or bag")
    added.add_argument("--limit", type=count, help="max number of frames")
    added.add_argument(
        "--reach", type=count, nargs="+", default=[5, 20], help="frames before the direction reverses"
    )
    added.add_argument("--max-prompts", type=count, default=64, metavar="N", help="proposals to decode")
    on_data(command(cost), "coco_val")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    words = rename_options(sys.argv[1:] if arguments is None else arguments, RENAMED)
    options = parser().parse_args(words)
    if options.model_needed and not options.model:
        parser().error("the following arguments are required: --model")
    return run_evaluation("evaluate", options, _evaluate)


@contextmanager
def _open_scoring(options: argparse.Namespace) -> Iterator[ScoreRecords]:
    """Provide the function that scores records: in this process, or on the requested workers."""
    workers, address = getattr(options, "workers", None), getattr(options, "ray", "")
    if not workers and not address:
        yield score_in_process
        return
    if getattr(options, "examples_dir", None):
        raise ValueError("--examples-dir collects masks in one process; leave out --workers and --ray")
    with connected(workers or 0, address, 1) as slots:
        yield RayScoring(slots, options.model or "", options.backend)


def _evaluate(options: argparse.Namespace) -> dict[str, Table]:
    segmenter = Segmenter.open(options.model, options.backend) if options.model else None
    with _open_scoring(options) as options.score_records:
        report: dict[str, Table] = options.job(options, segmenter)
    return report


if __name__ == "__main__":
    sys.exit(main())
