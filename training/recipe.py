# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that decides a training run, in one YAML file, checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Geometry(_Strict):
    """Warm-up of the decoder on noise embeddings, see :mod:`training.geometry`. 0 steps: none."""

    steps: int = Field(0, ge=0)
    batch: int = Field(48, ge=4)
    grids: tuple[int, ...] = (8, 12, 16, 20)
    lr: float = Field(1e-3, gt=0)
    rehearse: int = Field(0, ge=0, description="synthetic prompts beside the real ones, every step")


class Stage(_Strict):
    """Some steps at one resolution; the learning rate goes from ``lr`` to ``lr_end`` along a cosine."""

    size: int = Field(640, ge=64, multiple_of=16, description="side of the view in pixels")
    steps: int = Field(ge=1)
    batch: int = Field(16, ge=1, description="pictures a step")
    prompts: int = Field(8, ge=2, description="masks a picture")
    boxes: int | None = Field(None, ge=1, description="how many of them get a box; half by default")
    lr: float = Field(gt=0)
    lr_end: float = Field(ge=0)
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    zoom: tuple[float, float] = (1.0, 1.0)


class Losses(_Strict):
    """Weights of the losses, see :mod:`training.losses`."""

    pixel: Literal["focal", "bce", "sized_bce"] = "focal"
    pixel_weight: float = 10.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    others: float = Field(0.0, ge=0, le=1)
    heat_weight: float = 2.0
    box_weight: float = 1.0
    boxes_teach_all: bool = Field(False, description="a box is unambiguous: all three masks learn from it")


class Recipe(_Strict):
    """One training run."""

    model: str = "lite_sam"
    train: tuple[str, ...] = Field(description="annotation files, without .json; * is allowed")
    validate_on: str | None = None
    source_weights: dict[str, float] = {}
    seed: int = 0
    init: str | None = Field(None, description="checkpoint to start from")
    geometry: Geometry = Geometry()
    stages: tuple[Stage, ...]
    losses: Losses = Losses()
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights that are kept")
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(0.0, ge=0, lt=1)
    max_points: int = Field(10, ge=1, le=10)
    bfloat16: bool = True

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; ``ValueError`` names the file and every entry that is wrong."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"recipe {path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"recipe {path}: {wrong}") from error
