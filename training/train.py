# SPDX-License-Identifier: Apache-2.0
"""Train Lite-SAM: ``python -m training.train RECIPE --data DATA --out RUN``.

Killed at any moment, the same command goes on where the last checkpoint left off.
"""

from __future__ import annotations

import argparse
import copy
import csv
import logging
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from evitsam_ros.models import create_model
from evitsam_ros.models.sam import Sam

from .annotations import read_folder
from .checkpoint import load_progress, load_weights, save_progress, save_weights
from .dataset import Batch, TrainingSet, loader
from .geometry import geometry_loss, warm_up
from .losses import MaskLossWeights, mask_loss, proposal_loss
from .prompting import box_prompts, point_in_box_prompts, point_prompts
from .recipe import Recipe, Stage, read_recipe
from .views import ViewOptions

log = logging.getLogger(__name__)

#: Weight of the synthetic prompts in joint training.
REHEARSAL_WEIGHT = 0.3


class Trainer:
    """A model, its averaged copy and its optimiser, moved forward one batch at a time."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.model = create_model(recipe.model, recipe.init).to(memory_format=torch.channels_last)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": plain, "weight_decay": 0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=1e-4)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        losses = recipe.losses
        self.mask_weights = MaskLossWeights(
            losses.pixel, losses.pixel_weight, losses.dice_weight, losses.iou_weight, losses.others
        )
        self.step = 0

    def train_step(self, batch: Batch, lr: float, boxes: int) -> dict[str, float]:
        """One optimiser step; returns the losses and the IoU of the first-ranked masks by prompt.

        The first ``boxes`` masks of every picture are prompted by their box, the others by points.
        """
        self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.bfloat16):
            embedding = self.model.image_encoder(normalise(batch.image, batch.valid, self.model))
            heat, box = self.model.auto_ppn.logits(embedding)
        targets = (batch.heat, batch.distances, batch.group)
        heat_loss, box_loss = proposal_loss(heat.float(), box.float(), *targets)
        box_mask, box_iou = self._decode(embedding, batch, slice(0, boxes), "box")
        kind = "point in box" if self.step % 4 == 3 else "point"
        point_mask, point_iou = self._decode(embedding, batch, slice(boxes, None), kind)
        weights = self.recipe.losses
        proposals = weights.heat_weight * heat_loss + weights.box_weight * box_loss
        share = boxes / batch.boxes.shape[1]
        loss = share * box_mask + (1 - share) * point_mask + proposals
        if self.recipe.geometry.rehearse:
            loss = loss + REHEARSAL_WEIGHT * self._rehearse(embedding.shape[-1])
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: the loss is {loss.item()}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self._update_average()
        self.step += 1
        numbers = {"loss": loss, "heat": heat_loss, "box": box_loss, "iou_box": box_iou.mean()}
        numbers["iou_" + kind.replace(" ", "_")] = point_iou.mean()
        return {name: value.item() for name, value in numbers.items()}

    def _rehearse(self, grid: int) -> Tensor:
        """Keep what the warm-up taught: small boxes are rare in pictures."""
        count = self.recipe.geometry.rehearse
        return geometry_loss(self.model, count, grid, self._generator(3), bfloat16=self.recipe.bfloat16)[0]

    def _generator(self, purpose: int) -> torch.Generator:
        """Random numbers that depend on the seed and the step alone, so that a resumed run has the same."""
        return torch.Generator().manual_seed((self.recipe.seed * 1_000_003 + self.step) * 8 + purpose)

    def _decode(self, embedding: Tensor, batch: Batch, part: slice, kind: str) -> tuple[Tensor, Tensor]:
        boxes = batch.boxes[:, part].flatten(0, 1)
        points = batch.points[:, part].flatten(0, 1)
        target = batch.coverage[:, part].flatten(0, 1)
        jitter = 0.05 if self.step % 2 else 0.0
        if kind == "box":
            coords, labels = box_prompts(boxes, jitter, self._generator(1))
        elif kind == "point":
            # One click is what people give most, so half of the rounds have one point only.
            count = 1 if self.step % 2 == 0 else 1 + self.step // 2 % self.recipe.max_points
            coords, labels = point_prompts(points, count)
        else:
            coords, labels = point_in_box_prompts(points, boxes, 0.1, self._generator(2))
        grid = embedding.shape[-1]
        encoder = self.model.prompt_encoder
        encoder.embedding_size, encoder.prompt_size = (grid, grid), batch.image.shape[1]
        per_prompt = embedding.repeat_interleave(boxes.shape[0] // embedding.shape[0], 0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.bfloat16):
            no_mask = torch.zeros(1, 1, 4 * grid, 4 * grid)
            logits, iou = self.model.decode(per_prompt, coords, labels, no_mask, torch.zeros(1))
        sure = kind != "point" and self.recipe.losses.boxes_teach_all
        sure_rows = torch.full((len(boxes),), sure)
        return mask_loss(logits[:, 1:].float(), iou[:, 1:].float(), target, sure_rows, self.mask_weights)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        state = self.model.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - decay)
            else:
                value.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` (averaged), ``last.safetensors`` and ``progress.pt``."""
        save_weights(self.average.state_dict(), folder / "model.safetensors")
        save_weights(self.model.state_dict(), folder / "last.safetensors")
        progress = {"step": self.step, "optimiser": self.optimiser.state_dict()}
        save_progress(progress, folder / "progress.pt")

    def resume(self, folder: Path) -> bool:
        """Continue from ``folder`` if it holds a checkpoint."""
        if not (folder / "progress.pt").is_file():
            return False
        self.model.load_state_dict(load_weights(folder / "last.safetensors"))
        self.average.load_state_dict(load_weights(folder / "model.safetensors"))
        progress = load_progress(folder / "progress.pt")
        self.optimiser.load_state_dict(progress["optimiser"])
        self.step = progress["step"]
        return True


def normalise(image: Tensor, valid: Tensor, model: Sam) -> Tensor:
    """``(B, S, S, 3)`` uint8 -> ``(B, 3, S, S)`` float32, SAM's mean and std, padding 0 afterwards."""
    mean, std = torch.tensor(model.spec.mean) * 255, torch.tensor(model.spec.std) * 255
    x = (image.float() - mean) / std
    along = torch.arange(image.shape[1])
    inside = (along[None, :, None] < valid[:, 0, None, None]) & (along[None, None] < valid[:, 1, None, None])
    return (x * inside[..., None]).permute(0, 3, 1, 2)


def learning_rate(stage: Stage, step: int) -> float:
    """The rate at a step of a stage: linear warm-up, then a cosine from ``lr`` to ``lr_end``."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / stage.steps))
    return (stage.lr_end + (stage.lr - stage.lr_end) * cosine) * min(1.0, (step + 1) / (stage.warmup + 1))


def run(recipe: Recipe, data: Path, out: Path, workers: int, save_every: float) -> Trainer:
    """Run a recipe to its end, from its last checkpoint on if there is one."""
    trainer = Trainer(recipe)
    if not trainer.resume(out) and recipe.geometry.steps:
        geometry = recipe.geometry
        iou = warm_up(trainer.model, geometry.steps, geometry.batch, geometry.grids, geometry.lr, recipe.seed)
        log.info("geometry warm-up: IoU %.3f", iou)
        trainer.average.load_state_dict(trainer.model.state_dict())
        trainer.save(out)
    records = read_folder(data, list(recipe.train))
    first = 0
    for stage in recipe.stages:
        last = first + stage.steps
        if trainer.step < last:
            run_stage(trainer, stage, first, records, out, workers, save_every)
        first = last
    trainer.save(out)
    return trainer


def run_stage(
    trainer: Trainer, stage: Stage, first: int, records: list, out: Path, workers: int, save_every: float
) -> None:
    """Train one stage, log every 50 steps, save every ``save_every`` seconds."""
    recipe = trainer.recipe
    view = ViewOptions(stage.size, stage.zoom, recipe.flip, recipe.colour)
    data = TrainingSet(records, view, stage.prompts, recipe.seed, recipe.source_weights)
    last = first + stage.steps
    batches = loader(data, stage.batch, trainer.step, last, workers)
    bar = tqdm(batches, desc=f"{stage.size} px", unit="step", initial=trainer.step - first, total=stage.steps)
    means: dict[str, float] = {}
    saved = asked = time.monotonic()
    waited = 0.0
    for batch in bar:
        waited = 0.95 * waited + 0.05 * (time.monotonic() - asked)
        rate = learning_rate(stage, trainer.step - first)
        for name, value in trainer.train_step(batch, rate, stage.boxes or stage.prompts // 2).items():
            means[name] = 0.98 * means.get(name, value) + 0.02 * value
        if trainer.step % 50 == 0:
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()}, refresh=False)
            _append_log(
                out / "log.csv", {"step": trainer.step, "size": stage.size, "lr": rate, "wait": waited}, means
            )
        if time.monotonic() - saved > save_every:
            trainer.save(out)
            saved = time.monotonic()
        asked = time.monotonic()
    trainer.save(out)


LOGGED = ("loss", "heat", "box", "iou_box", "iou_point", "iou_point_in_box")


def _append_log(path: Path, where: dict[str, float], means: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [*where, *LOGGED])
        if new:
            writer.writeheader()
        writer.writerow({**where, **{name: round(means.get(name, math.nan), 5) for name in LOGGED}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path, help="a YAML file, see training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an old one is continued")
    parser.add_argument("--workers", type=int, default=1, help="processes that load pictures")
    parser.add_argument("--save-every", type=float, default=120.0, help="seconds between checkpoints")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = read_recipe(options.recipe)
    run(recipe, options.data, options.out, options.workers, options.save_every)


if __name__ == "__main__":
    main()
