# SPDX-License-Identifier: Apache-2.0
"""A rank of a run over two hosts: trains, and writes its weights; rank 1 may die at a step, once.

``one``: the same in a single process that has the batches of both ranks in every step.
"""

import json
import os
import sys
from pathlib import Path

import torch

from training.checkpoint import save_weights
from training.engine import Engine
from training.feed import Feed
from training.recipe import read_recipe


class Both(Engine):
    """One process with the batches of two: the mean of both gradients, as DDP takes it."""

    def stage_batches(self, stage, step, first, last):
        feeds = [Feed(self.recipe, Path(sys.argv[3]), 0, rank, 2) for rank in (0, 1)]
        return zip(*(feed.batches(stage, self.model.spec, step, first, last) for feed in feeds), strict=True)

    def train_step(self, parts, rate):
        (pair,) = parts
        self.task.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.zero_grad(set_to_none=True)
        for rank, part in enumerate(pair):
            loss, _ = self.task(part, self.step, rank)
            self.fabric.backward(loss / 2)
        self.fabric.clip_gradients(self.task, self.optimiser, max_norm=self.recipe.optimiser.max_grad_norm)
        self.optimiser.step()
        self.step += 1
        self._update_average()
        return {"loss": float(loss.detach())}


def main(kind: str, recipe: str, data: str, out: str, dies_at: str = "") -> None:
    torch.set_num_threads(1)
    made = Both if kind == "one" else Engine
    engine = made(read_recipe(Path(recipe)), Path(data), Path(out), workers=0, save_every=0.0)
    rank, marker = engine.fabric.global_rank, Path(out) / "died"
    names: list[str] = []
    original = engine.train_step

    def train_step(parts, rate):
        if dies_at and rank == 1 and engine.step == int(dies_at) and not marker.exists():
            marker.touch()
            os._exit(9)
        names.extend(
            name for part in parts for one in (part if kind == "one" else [part]) for name in one.names
        )
        return original(parts, rate)

    engine.train_step = train_step
    engine.write_preview = lambda *_: None
    engine.run()
    save_weights(dict(engine.model.named_parameters()), Path(out) / f"parameters{rank}.safetensors")
    (Path(out) / f"names{rank}.json").write_text(json.dumps(names))


main(*sys.argv[1:])
