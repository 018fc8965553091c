# SPDX-License-Identifier: Apache-2.0
"""Train variants of a recipe with one budget and print a table: ablations, or a list of backbones.

``python -m training.compare COMPARISON --data DATA --out OUT``. The same command continues a killed run;
results of finished variants are read from their files.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evitsam_ros.export import export_bundle
from evitsam_ros.malloc import tune_malloc
from evitsam_ros.models import create_model
from evitsam_ros.segment import Segmenter

from .annotations import read_folder
from .command import run_command
from .engine import Engine
from .evaluation.cost import network_costs
from .evaluation.prompted import score_prompts
from .evaluation.recall import check_exhaustive, everything_recall
from .recipe import Recipe
from .recipe_names import rename_comparison, rename_entries
from .records import Record, readable

log = logging.getLogger(__name__)

RESULT = "result.json"


class Measure(BaseModel):
    """Define the data and prompts that every variant is scored on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = Field(("coco_val",), description="annotation files without .json")
    limit: int | None = Field(None, ge=1, description="images of each file")
    clicks: tuple[int, ...] = (1, 3, 5)
    everything: int | None = Field(
        None,
        ge=1,
        description="prompts of everything mode: adds AR@1000, for images in which every object has a mask",
    )


class Comparison(BaseModel):
    """Describe a comparison file.

    Attributes:
        recipe: path of a recipe, relative to the comparison file.
        changes: entries of the recipe that differ for all variants.
        variants: further entries that differ, by name. A mapping is merged, any other value replaces the
            recipe's, and null removes it.
        measure: see :class:`Measure`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    changes: dict[str, Any] = {}
    variants: dict[str, dict[str, Any]] = Field(min_length=1)
    measure: Measure = Measure()

    @model_validator(mode="before")
    @classmethod
    def _accept_deprecated_names(cls, content: Any) -> Any:
        return rename_comparison(content)


def read_comparison(path: Path) -> tuple[Comparison, dict[str, Recipe]]:
    """Read a comparison and make the recipe of each variant.

    Raises:
        ValueError: a file cannot be read, or an entry is wrong; the message names file and entry.
    """
    try:
        comparison = Comparison.model_validate(yaml.safe_load(path.read_text()))
        base = yaml.safe_load((path.parent / comparison.recipe).read_text())
        if not isinstance(base, dict):
            raise ValueError(f"comparison {path}: {comparison.recipe} is no recipe: expected a mapping")
        base = rename_entries(base)
        recipes = {
            name: Recipe.model_validate(merge_changes(merge_changes(base, comparison.changes), changes))
            for name, changes in comparison.variants.items()
        }
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"comparison {path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"comparison {path}: {wrong}") from error
    except ValueError as error:
        raise ValueError(f"comparison {path}: {error}") from error
    return comparison, recipes


def merge_changes(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``: mappings are merged, other values replaced, null removes an entry."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge_changes(result[key], value)
        else:
            result[key] = value
    return result


def read_measured(data: Path, measure: Measure) -> dict[str, list[Record]]:
    """Read the images that every variant is scored on, by annotation file.

    Raises:
        ValueError: no image can be read, or AR is requested for images in which not every object has a mask.
    """
    records = {}
    for name in measure.files:
        records[name] = list(readable(read_folder(data, [name])[: measure.limit]))
        if measure.everything is not None:
            check_exhaustive(data / "annotations" / f"{name}.json")
    return records


def run_variant(
    recipe: Recipe, measure: Measure, records: dict[str, list[Record]], data: Path, out: Path, workers: int
) -> dict[str, float]:
    """Train one variant, export it, and score the exported networks.

    Returns:
        By column: millions of parameters and billions of multiply-adds of the encoder, then mean IoU of boxes
        and clicks, by annotation file where there are several.
    """
    if (out / RESULT).is_file():
        return json.loads((out / RESULT).read_text())
    Engine(recipe, data, out, workers).run()
    torch.manual_seed(0)
    model = create_model(
        recipe.model, out / "model.safetensors", ppn_stem=recipe.ppn_stem, lite_vit=recipe.lite_vit
    )
    segmenter = Segmenter.open(export_bundle(model, out / "bundle"))
    encoder = network_costs(model)["image encoder"]
    result = {"parameters, M": encoder.parameters / 1e6, "GMAC": encoder.macs / 1e9}
    for name, images in records.items():
        prefix = f"{name}: " if len(records) > 1 else ""
        for row, scores in score_prompts(segmenter, images, measure.clicks, ()).items():
            result[f"{prefix}{row}"] = scores["all"]
            if row == "GT box":
                result[f"{prefix}{row}, boundary IoU"] = scores["BIoU all"]
        if measure.everything is not None:
            result[f"{prefix}AR@1000"] = everything_recall(segmenter, images, measure.everything)["all"]
    (out / RESULT).write_text(json.dumps(result, indent=1))
    return result


def variant_folder(variant: str) -> str:
    """Return the name of a variant's folder, which is never one of those above it."""
    name = variant.replace(" ", "_").replace("/", "_")
    return name if name.strip(".") else f"_{name}"


def table(results: dict[str, dict[str, float]]) -> str:
    """Format results by variant as a Markdown table."""
    columns = list(dict.fromkeys(column for result in results.values() for column in result))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, result in results.items():
        cells = [f"{result[column]:.3f}" if column in result else "" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comparison", type=Path, help="YAML file, see training/comparisons")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, one for each variant")
    parser.add_argument("--only", nargs="*", help="variants to train; the others are omitted from the table")
    parser.add_argument("--workers", type=int, default=1, help="processes that load images")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    tune_malloc()
    return run_command("compare", lambda: _compare(options))


def _compare(options: argparse.Namespace) -> int:
    comparison, recipes = read_comparison(options.comparison)
    unknown = sorted(set(options.only or ()) - set(recipes))
    if unknown:
        raise ValueError(f"no variant {', '.join(unknown)}; expected some of {', '.join(recipes)}")
    measure, results = comparison.measure, {}
    records = read_measured(options.data, measure)
    for name in options.only or recipes:
        log.info("variant %s", name)
        out = options.out / variant_folder(name)
        results[name] = run_variant(recipes[name], measure, records, options.data, out, options.workers)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
