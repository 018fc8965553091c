# SPDX-License-Identifier: Apache-2.0
"""Define the training tasks; a recipe names one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .auto_ppn import AutoPpnTask
from .base import Task
from .distill import DistillTask
from .lite_sam import LiteSamTask
from .sam import SamTask
from .semantic import SemanticTask
from .upscale import UpscaleTask

if TYPE_CHECKING:
    from evitsam_ros.models.efficientvit.build import AnyNetwork
    from evitsam_ros.models.sam import Sam

    from ..recipe import Recipe

TASKS: dict[str, type[Task]] = {
    "lite_sam": LiteSamTask,
    "sam": SamTask,
    "auto_ppn": AutoPpnTask,
    "distill": DistillTask,
    "semantic": SemanticTask,
    "upscale": UpscaleTask,
}


def build_task(model: Sam | AnyNetwork, recipe: Recipe) -> Task:
    """Build the recipe's task around a model."""
    return TASKS[recipe.task](model, recipe)


__all__ = ["TASKS", "Task", "build_task"]
