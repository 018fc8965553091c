# SPDX-License-Identifier: Apache-2.0
"""Draw mask AR of everything mode against parameters, multiply-adds and seconds (Lite-SAM, figure 1).

``python -m training.everything_plot --models lite_sam mobile_sam --data DATA --on coco_val --plot
figure_1.png``. All of it is measured in one run on one machine: AutoPPN where a model has it, and grids.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.cli.options import add_backend, add_json
from evitsam_ros.models import create_model
from evitsam_ros.segment import Segmenter

from .annotations import read_folder
from .evaluation.cost import network_costs
from .evaluation.mask_metrics import GROUPS
from .evaluation.recall import check_exhaustive, everything_recall
from .evaluation.report import Table, count, run_evaluation
from .records import readable
from .seed_report import COSTS, check_plotting, plot_costs, spreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .records import Record

TIME, RECALL = "everything, s", "AR@1000"
#: Endings of the files that can be drawn.
FORMATS = (".png", ".svg", ".pdf")
AUTO_PPN = "AutoPPN"


@dataclass(frozen=True)
class Way:
    """Prompts of everything mode: proposals of AutoPPN, or a grid of ``side`` points a side."""

    prompts: int
    side: int | None = None

    def __str__(self) -> str:
        return f"{AUTO_PPN} {self.prompts}" if self.side is None else f"grid {self.side}x{self.side}"


def ways(segmenter: Segmenter, max_prompts: int, grids: Sequence[int]) -> list[Way]:
    """Return the ways in which a model is prompted."""
    proposals = [Way(max_prompts)] if segmenter.bundle.has_proposals else []
    return [*proposals, *(Way(side * side, side) for side in grids)]


def costs(segmenter: Segmenter, *, auto_ppn: bool) -> dict[str, float]:
    """Return parameters in millions and multiply-adds of one image and one prompt in 10^9.

    Args:
        segmenter: of the model; its input size counts.
        auto_ppn: with AutoPPN.
    """
    bundle = segmenter.bundle
    parts = network_costs(create_model(bundle.name, image_size=bundle.image_size, auto_ppn=auto_ppn or None))
    used = [cost for part, cost in parts.items() if auto_ppn or part != AUTO_PPN]
    sums = sum(cost.parameters for cost in used) / 1e6, sum(cost.macs for cost in used) / 1e9
    return dict(zip(COSTS, sums, strict=True))


def times(segmenter: Segmenter, records: Sequence[Record], way: Way) -> list[float]:
    """Return the seconds of everything mode on each image, after a warm-up on the first one."""
    images = [record.read_image() for record in records]
    taken = []
    for image in (images[0], *images):
        start = time.perf_counter()
        segmenter.everything(image, way.prompts, points_per_side=way.side)
        taken.append(time.perf_counter() - start)
    return taken[1:]


def measure(options: argparse.Namespace) -> dict[str, Table]:
    """Measure the models, and draw the plot again after each of them; return the rows."""
    check_plotting()
    check_file(options.plot)
    records = list(readable(read_folder(options.data, [options.on])[: options.limit]))
    check_exhaustive(options.data / "annotations" / f"{options.on}.json")
    results: dict[str, list[dict[str, float]]] = {}
    for model in options.models:
        segmenter = Segmenter.open(model, options.backend)
        found = ways(segmenter, options.max_prompts, options.grids)
        if not found:
            raise ValueError(f"{model} has no AutoPPN; expected --grids with one side or more")
        for way in found:
            row = costs(segmenter, auto_ppn=way.side is None)
            recall = everything_recall(segmenter, records, way.prompts, way.side)
            row[RECALL] = recall[GROUPS[0]]
            seconds = times(segmenter, records[: options.timed], way)
            results[f"{Path(model).name}, {way}"] = [row | {TIME: value} for value in seconds]
        segmenter.close()
        draw(results, options)
    return {options.on: {name: _mean(rows) for name, rows in results.items()}}


def check_file(plot: Path) -> None:
    """Raise ``ValueError`` where a plot cannot be written, before hours of measurements."""
    if plot.suffix not in FORMATS or not plot.resolve().parent.is_dir():
        raise ValueError(f"--plot {plot}: expected a name with {', '.join(FORMATS)} in a folder that exists")


def draw(results: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    """Draw the rows; the times of the images are their spread.

    Raises:
        ValueError: the file cannot be written.
    """
    title = f"everything mode on {options.on}, {options.backend}"
    try:
        plot_costs(title, spreads(results), options.plot, (*COSTS, TIME))
    except OSError as error:
        raise ValueError(f"{options.plot} cannot be written: {error}") from error


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {column: sum(row[column] for row in rows) / len(rows) for column in rows[0]}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    top.add_argument("--models", nargs="+", required=True, help="names of models, or folders of bundles")
    top.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    top.add_argument("--on", default="coco_val", help="annotation file, without .json (default: coco_val)")
    top.add_argument("--limit", type=count, help="only the first so many images")
    top.add_argument("--timed", type=count, default=5, metavar="N", help="images that are timed (default: 5)")
    top.add_argument("--max-prompts", type=count, default=256, metavar="N", help="proposals to decode")
    top.add_argument("--grids", type=count, nargs="*", default=[], help="sides of point grids")
    top.add_argument(
        "--plot", type=Path, required=True, metavar="PATH", help=f"file to draw: {', '.join(FORMATS)}"
    )
    add_backend(top)
    add_json(top)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_evaluation("everything_plot", parser().parse_args(arguments), measure)


if __name__ == "__main__":
    sys.exit(main())
