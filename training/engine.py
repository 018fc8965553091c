# SPDX-License-Identifier: Apache-2.0
"""Run the training loop: a task, its averaged copy and its optimiser, on one or many devices (Lightning
Fabric).

A killed run continues from its last checkpoint with the same losses as an uninterrupted run.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn
from tqdm import tqdm

from .checkpoint import current_parameter_name, load_progress, save_progress, save_weights
from .geometry import axis_frequencies, warm_up
from .inputs import channels_last
from .records import Skipped
from .runlog import RunLog
from .task_setup import build_model, open_feed, preview_writer
from .tasks import build_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lightning_fabric.plugins import Precision

    from evitsam_ros.models.sam import Sam

    from .dataset import Batch
    from .dense_feed import DenseBatch
    from .recipe import Optimiser, PrecisionName, Recipe, Stage

log = logging.getLogger(__name__)

LOG_EVERY = 50


def make_fabric(precision: PrecisionName) -> Fabric:
    """Launch one process, or those of torchrun: DDP, with gloo on CPUs and nccl on GPUs."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        strategy="ddp_find_unused_parameters_true" if processes > 1 else "auto",
        devices=local,
        num_nodes=max(1, processes // local),
        precision=precision,
    )
    fabric.launch()
    return fabric


class Engine:
    """Train a recipe: ``run`` executes the stages; ``step`` counts optimiser steps over all of them."""

    def __init__(self, recipe: Recipe, data: Path, out: Path, workers: int = 1, save_every: float = 120.0):
        self.recipe, self.out, self.save_every = recipe, out, save_every
        out.mkdir(parents=True, exist_ok=True)  # before anything that takes long
        torch.manual_seed(recipe.seed)
        self.fabric = make_fabric(recipe.precision)
        model = channels_last(build_model(recipe))
        task = build_task(model, recipe)
        self.model, self.plain_task = model, task
        self.average = copy.deepcopy(model).requires_grad_(False).to(self.fabric.device)
        self.task, self.optimiser = self.fabric.setup(task, make_optimiser(task, recipe.optimiser))
        self.feed = open_feed(recipe, data, workers, self.fabric.global_rank, self.fabric.world_size)
        self.write_preview = preview_writer(recipe)
        self.skipped = Skipped()
        self.step = 0

    def run(self) -> None:
        """Run the recipe to its end, from the last checkpoint if there is one."""
        if not self.resume() and self.recipe.geometry.steps:
            self._warm_up()
        first = 0
        log_file = RunLog(self.out, enabled=self.fabric.is_global_zero)
        for stage in self.recipe.stages:
            last = first + self.feed.steps(stage)
            if self.step < last:
                self._run_stage(stage, first, last, log_file)
            first = last
        self.save()
        log.info("skipped records: %s", self.skipped)

    def prepare_stage(self, stage: Stage) -> None:
        """Freeze the parts of the model that a stage does not train, and unfreeze the others."""
        if self.recipe.task in ("lite_sam", "sam"):
            self.plain_task.freeze_parts(stage)

    def stage_batches(self, stage: Stage, step: int, first: int, last: int) -> Iterator[Batch | DenseBatch]:
        """Iterate over the batches of a stage, see :meth:`.feed.Feed.batches`."""
        spec: Any = self.model.spec  # matches the feed's task
        return self.feed.batches(stage, spec, step, first, last)

    def _run_stage(self, stage: Stage, first: int, last: int, log_file: RunLog) -> None:
        self.prepare_stage(stage)
        batches = self.stage_batches(stage, self.step, first, last)
        bar = tqdm(
            total=last - first,
            initial=self.step - first,
            desc=f"{stage.size} px",
            unit="step",
            disable=not self.fabric.is_global_zero,
        )
        saved = time.monotonic()
        while self.step < last:
            begun = time.monotonic()
            parts = [next(batches) for _ in range(stage.accumulate)]
            waited = time.monotonic() - begun
            rate = learning_rate(stage, self.step - first, last - first)
            numbers = self.train_step(parts, rate)
            log_file.add(numbers, waited, time.monotonic() - begun)
            bar.update()
            if self.step % LOG_EVERY == 0 or self.step == last:
                bar.set_postfix(log_file.write(self.step, stage.size, rate), refresh=False)
            if time.monotonic() - saved > self.save_every:
                self.save()
                self._preview(parts[0])
                saved = time.monotonic()
        self._preview(parts[0])
        self.save()
        bar.close()

    def train_step(self, parts: Sequence[Batch | DenseBatch], rate: float) -> dict[str, float]:
        """Run one optimiser step on the mean of the parts; return the losses and the task's numbers."""
        self.task.train()
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self.optimiser.zero_grad(set_to_none=True)
        means: dict[str, float] = {}
        for index, part in enumerate(parts):
            for line in part.skipped:
                self.skipped.add(*line.split(": ", 1))
            waits = index + 1 < len(parts) and self.fabric.world_size > 1
            with self.fabric.no_backward_sync(self.task) if waits else nullcontext():
                micro_step = self.step * len(parts) + index
                loss, numbers = self.task(part.to(self.fabric.device), micro_step, self.fabric.global_rank)
                if not torch.isfinite(loss):
                    raise FloatingPointError(f"step {self.step}: the loss is {loss.item()}")
                self.fabric.backward(loss / len(parts))
            for name, value in {"loss": loss, **numbers}.items():
                means[name] = means.get(name, 0.0) + float(value.detach()) / len(parts)
        self.fabric.clip_gradients(self.task, self.optimiser, max_norm=self.recipe.optimiser.max_grad_norm)
        self.optimiser.step()
        self.step += 1
        self._update_average()
        return means

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.optimiser.ema, self.step / (9 + self.step))
        state = self.model.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(state[name], 1 - decay)
            else:
                value.copy_(state[name])

    def _warm_up(self) -> None:
        geometry, model = self.recipe.geometry, cast("Sam", self.model)
        if geometry.frequencies is not None:
            matrix = model.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
            matrix.copy_(axis_frequencies(matrix.shape[1], *geometry.frequencies))
        with self.fabric.autocast():
            iou = warm_up(model, geometry, self.recipe.seed)
        log.info("geometry warm-up: IoU %.3f", iou)
        self.average.load_state_dict(self.model.state_dict())
        self.save()

    def _preview(self, batch: Batch | DenseBatch) -> None:
        if self.fabric.is_global_zero:
            self.write_preview(self.average, batch, self.out / "previews" / f"{self.step:07d}.jpg")

    def save(self) -> None:
        """Write ``progress.pt`` (the state to resume from) and ``model.safetensors`` (averaged weights to
        export).

        A run resumes from the first file alone, so that step, weights and optimiser always belong together.
        """
        if not self.fabric.is_global_zero:
            return
        progress = {
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "helpers": {name: part.detach() for name, part in self._helpers()},
            **self._scaler_state(),
        }
        save_progress(progress, self.out / "progress.pt")
        save_weights(self.average.state_dict(), self.out / "model.safetensors")

    def resume(self) -> bool:
        """Continue from the run's folder if it holds a checkpoint."""
        if not (self.out / "progress.pt").is_file():
            return False
        progress = load_progress(self.out / "progress.pt")
        self.model.load_state_dict(progress["model"])
        self.average.load_state_dict(progress["average"])
        self.optimiser.load_state_dict(progress["optimiser"])
        helpers = {current_parameter_name(name): value for name, value in progress["helpers"].items()}
        with torch.no_grad():
            for name, part in self._helpers():
                part.copy_(helpers[name])
        if "scaler" in progress:
            self._precision.load_state_dict(progress["scaler"])
        self.step = progress["step"]
        return True

    def _helpers(self) -> list[tuple[str, nn.Parameter]]:
        """Return the parameters that are trained beside the model and not exported."""
        named = self.plain_task.named_parameters()
        return [(name, p) for name, p in named if p.requires_grad and not name.startswith("model.")]

    @property
    def _precision(self) -> Precision:
        return self.fabric.strategy.precision

    def _scaler_state(self) -> dict[str, dict]:
        """Return the state of the gradient scaler, which only float16 has."""
        state = self._precision.state_dict()
        return {"scaler": state} if state else {}


def make_optimiser(task: nn.Module, options: Optimiser) -> torch.optim.Optimizer:
    """Make the optimiser: weight decay for matrices and kernels only; a separate rate for SAM's heads."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim <= 1 or "embed" in name or "_token" in name
        heads = name.startswith(("model.prompt_encoder.", "model.mask_decoder.", "model.box_prior."))
        share = options.heads_lr_scale if heads else 1.0
        if name.startswith(("model.image_encoder.backbone.", "model.backbone.")):
            share = options.backbone_lr_scale
        key = (0.0 if plain else options.weight_decay, share)
        groups.setdefault(key, []).append(parameter)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options.name]
    parts = [{"params": p, "weight_decay": decay, "share": share} for (decay, share), p in groups.items()]
    return kind(parts, lr=1e-4, betas=options.betas)


def learning_rate(stage: Stage, step: int, steps: int) -> float:
    """Return the rate at a step of a stage: linear warm-up, then a cosine from ``lr`` to ``lr_end``."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return (stage.lr_end + (stage.lr - stage.lr_end) * cosine) * min(1.0, (step + 1) / (stage.warmup + 1))
