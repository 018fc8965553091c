# SPDX-License-Identifier: Apache-2.0
"""Train by a recipe for a given time: ``python -m training.timed RECIPE --data DATA --out RUN --minutes 8``.

For machines that are rented by the minute. The speed of the first stage is measured, and the lengths of all
stages are scaled so that the run with its complete learning-rate schedules takes the given time.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.malloc import tune_malloc

from .command import run_command
from .engine import Engine
from .recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from .recipe import Stage

log = logging.getLogger(__name__)

#: Maximum steps before the measurement, in which caches fill and kernels are chosen, and of it; and the
#: shares of the time after which there are no more of them.
WARM_UP, MEASURED = 10, 20
#: Max minutes of a run.
MAX_MINUTES = 1e6
WARM_UP_SHARE, MEASURED_SHARE = 0.05, 0.1
#: Share of the time that is reserved for checkpoints and the end.
RESERVE = 0.05


def work(stage: Stage) -> float:
    """Return the cost of a stage's step in pixels: encoder and decoder both scale with the area."""
    return float(stage.size**2 * stage.batch * stage.accumulate)


def scaled(recipe: Recipe, seconds_per_pixel: float, seconds: float) -> Recipe:
    """Return the recipe with its stages' steps scaled to a total time.

    Args:
        recipe: recipe with stages in steps, not epochs.
        seconds_per_pixel: measured, see :func:`work`.
        seconds: max duration of the run.

    Raises:
        ValueError: a stage has epochs, or the time is too short for a step of each stage.
    """
    if any(stage.steps is None for stage in recipe.stages):
        raise ValueError("a timed run needs stages with steps, not with epochs")
    expected_seconds = sum(work(stage) * (stage.steps or 0) for stage in recipe.stages) * seconds_per_pixel
    factor = seconds / expected_seconds
    steps = [int((stage.steps or 0) * factor) for stage in recipe.stages]
    if min(steps) < 1:
        raise ValueError(
            f"{seconds:.0f} s are too short: the recipe's steps take {expected_seconds:.0f} s here"
        )
    stages = tuple(
        stage.model_copy(update={"steps": count, "warmup": min(stage.warmup, count // 4)})
        for stage, count in zip(recipe.stages, steps, strict=True)
    )
    return recipe.model_copy(update={"stages": stages})


def measure(recipe: Recipe, data: Path, out: Path, workers: int, seconds: float) -> float:
    """Measure the seconds per pixel of work, by steps of the first stage that are discarded.

    Args:
        recipe: to train by.
        data: folder of the data.
        out: folder of the run; no file is written.
        workers: processes that load images.
        seconds: duration of the run; a small share of it is used.
    """
    engine, stage = Engine(recipe, data, out, workers), recipe.stages[0]
    engine.prepare_stage(stage)
    batches = engine.stage_batches(stage, 0, 0, WARM_UP + MEASURED)

    def run(max_steps: int, until: float) -> float:
        """Run steps until a time, at least one; return the mean seconds per step."""
        begun, steps = time.monotonic(), 0
        while steps < max_steps:
            engine.train_step([next(batches) for _ in range(stage.accumulate)], 1e-6)
            steps += 1
            if time.monotonic() > until:
                break
        return (time.monotonic() - begun) / steps

    begun = time.monotonic()
    run(WARM_UP, begun + WARM_UP_SHARE * seconds)
    return run(MEASURED, begun + (WARM_UP_SHARE + MEASURED_SHARE) * seconds) / work(stage)


def _minutes(text: str) -> float:
    if not 0 < (value := float(text)) <= MAX_MINUTES:  # NaN is outside too
        raise argparse.ArgumentTypeError(f"{text}; expected more than 0 and at most {MAX_MINUTES:g} minutes")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "recipe", type=Path, help="YAML file; its steps give the relative lengths of the stages"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--minutes", type=_minutes, required=True, help="duration of measurement and training"
    )
    parser.add_argument("--init", help="initial checkpoint, in place of the recipe's")
    parser.add_argument("--workers", type=int, default=1, help="processes that load images")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tune_malloc()
    end = time.monotonic() + 60 * options.minutes * (1 - RESERVE)
    return run_command("timed", lambda: _train(options, end))


def _train(options: argparse.Namespace, end: float) -> int:
    """Measure the speed, and train until ``end``, seconds of the monotonic clock."""
    recipe = read_recipe(options.recipe)
    if options.init:
        recipe = recipe.model_copy(update={"init": options.init})
    left = end - time.monotonic()
    speed = measure(recipe, options.data, options.out, options.workers, left)
    recipe = scaled(recipe, speed, end - time.monotonic())
    for stage in recipe.stages:
        log.info("%d px: %d steps, %.2f s each", stage.size, stage.steps, speed * work(stage))
    Engine(recipe, options.data, options.out, options.workers, save_every=60.0).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
