# SPDX-License-Identifier: Apache-2.0
"""Train by a recipe: ``python -m training.train RECIPE --data DATA --out RUN``, alone or under torchrun.

The same command continues a killed run from its last checkpoint.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tqdm import tqdm

from evitsam_ros.malloc import tune_malloc

from .command import run_command
from .engine import Engine
from .recipe import read_recipe
from .records import DataError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path, help="YAML file, see training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; an existing run is continued"
    )
    parser.add_argument("--init", help="initial checkpoint, in place of the recipe's")
    parser.add_argument("--workers", type=int, default=1, help="processes that load images")
    parser.add_argument("--save-every", type=float, default=120.0, help="seconds between checkpoints")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tune_malloc()
    return run_command("train", lambda: _train(options))


def _train(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    if options.init:
        recipe = recipe.model_copy(update={"init": options.init})
    engine = Engine(recipe, options.data, options.out, options.workers, options.save_every)
    try:
        engine.run()
    except DataError as error:
        tqdm.write(f"train: {error}", file=sys.stderr)  # on a line of its own, not behind the progress bar
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
