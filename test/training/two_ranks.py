# SPDX-License-Identifier: Apache-2.0
"""One rank of a distributed run: trains, then writes what it has seen and what came out."""

import json
import sys
from pathlib import Path

from training.engine import Engine
from training.recipe import read_recipe


def main(recipe: str, data: str, out: str) -> None:
    engine = Engine(read_recipe(Path(recipe)), Path(data), Path(out), workers=0, save_every=1e9)
    boxes = []
    original = engine.train_step

    def train_step(parts, rate):
        boxes.extend(part.boxes.sum().item() for part in parts)
        return original(parts, rate)

    engine.train_step = train_step
    engine.run()
    # Batch statistics are each rank's own: DDP spreads those of rank 0 with the next forward pass.
    weights = sum(parameter.double().abs().sum().item() for parameter in engine.model.parameters())
    report = {"weights": weights, "boxes": boxes, "world": engine.fabric.world_size}
    Path(out).mkdir(exist_ok=True)  # rank 0 makes it, perhaps later than this
    (Path(out) / f"rank{engine.fabric.global_rank}.json").write_text(json.dumps(report))


main(*sys.argv[1:])
