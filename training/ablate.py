# SPDX-License-Identifier: Apache-2.0
"""Train every row of an ablation table with one budget and several seeds, and write it with its spread.

``python -m training.ablate TABLE --data DATA --steps N --out DIR``. A run that is killed continues with the
same command: rows that are done are read from their files, and the row in progress continues from its
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.malloc import tune_malloc

from .command import run_command
from .compare import read_comparison, read_measured, run_variant, variant_folder
from .recipe_names import rename_comparison
from .seed_report import check_plotting, spreads, write_report

if TYPE_CHECKING:
    from .compare import Comparison
    from .recipe import Recipe

log = logging.getLogger(__name__)

TABLES = Path(__file__).parent / "comparisons"
#: File that records what the rows of a folder were trained with.
SETTINGS = "ablation.json"


def find_table(name: str) -> Path:
    """Find the comparison file of a table by its name or path.

    Raises:
        ValueError: There is no such file.
    """
    path = Path(name) if name.endswith(".yaml") else TABLES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in TABLES.glob("*.yaml")))
        raise ValueError(f"no table {name!r}; expected one of {known}, or the path of a .yaml file")
    return path


def with_budget(recipe: Recipe, steps: int, seed: int) -> Recipe:
    """Return a recipe of ``steps`` steps, shared by its stages as before, with a warm-up scaled by the same
    factor.

    With fewer steps than stages, only the last stages remain.

    Raises:
        ValueError: A stage counts epochs.
    """
    before = [stage.steps for stage in recipe.stages]
    if None in before:
        raise ValueError("a stage of the recipe counts epochs; expected steps, which a budget can replace")
    stages, lengths = recipe.stages[-steps:], [count or 0 for count in before][-steps:]
    shares = [max(1, steps * count // sum(lengths)) for count in lengths]
    shares[shares.index(max(shares))] += steps - sum(shares)
    scale = steps / sum(count or 0 for count in before)
    changed = [
        stage.model_copy(update={"steps": share, "warmup": min(stage.warmup, share // 10)})
        for stage, share in zip(stages, shares, strict=True)
    ]
    geometry = recipe.geometry.model_copy(update={"steps": round(recipe.geometry.steps * min(1.0, scale))})
    return recipe.model_copy(update={"stages": tuple(changed), "geometry": geometry, "seed": seed})


def claim_folder(out: Path, comparison: Comparison, steps: int) -> None:
    """Record the settings in the folder of the runs.

    Raises:
        ValueError: The folder holds rows of other settings, or cannot be written.
    """
    settings = {"steps": steps, "comparison": comparison.model_dump(mode="json")}
    file = out / SETTINGS
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            file.write_text(json.dumps(settings, indent=1))
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be used: {error}") from error
    if isinstance(found, dict) and "comparison" in found:
        found["comparison"] = rename_comparison(found["comparison"])
    if found != settings:
        trained = found.get("steps") if isinstance(found, dict) else None
        raise ValueError(
            f"{out} holds rows of another table, or of another budget ({trained} steps, not {steps}); "
            "expected the same settings, or another --out"
        )


def ablate(options: argparse.Namespace) -> str:
    """Train the rows that are not done, write the report after each of them, and return it as Markdown."""
    comparison, recipes = read_comparison(find_table(options.table))
    unknown = sorted(set(options.only or ()) - set(recipes))
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}; expected some of {', '.join(recipes)}")
    check_plotting()
    rows = {
        name: {seed: with_budget(recipes[name], options.steps, seed) for seed in options.seeds}
        for name in options.only or recipes
    }
    records = read_measured(options.data, comparison.measure)
    claim_folder(options.out, comparison, options.steps)
    results: dict[str, list[dict[str, float]]] = {}
    text = ""
    for name, seeded in rows.items():
        for seed, recipe in seeded.items():
            log.info("row %s, seed %d", name, seed)
            out = options.out / variant_folder(name) / f"seed_{seed}"
            result = run_variant(recipe, comparison.measure, records, options.data, out, options.workers)
            results.setdefault(name, []).append(result)
        title = f"{Path(options.table).stem}: {options.steps} steps, seeds {list(options.seeds)}"
        text = write_report(title, spreads(results), options.out)
    return text


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    top.add_argument("table", help="name of a file in training/comparisons, or a path")
    top.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    top.add_argument("--steps", type=_positive, required=True, help="steps of each row and seed")
    top.add_argument("--out", type=Path, required=True, help="folder of the runs and of the report")
    top.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1], help="random seeds, two or more (default: 0 1)"
    )
    top.add_argument("--only", nargs="+", help="rows to train; the others are skipped")
    top.add_argument("--workers", type=int, default=1, help="processes that load images")
    return top


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}; expected 1 or more")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = parser().parse_args(arguments)
    if len(set(options.seeds)) < 2:
        parser().error("--seeds: expected two or more different seeds; one has no spread")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tune_malloc()

    def train_all() -> int:
        print(ablate(options))
        return 0

    return run_command("ablate", train_all)


if __name__ == "__main__":
    sys.exit(main())
