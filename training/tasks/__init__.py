# SPDX-License-Identifier: Apache-2.0
"""The four things that can be trained; a recipe names one of them."""

from evitsam_ros.models.sam import Sam

from ..recipe import Recipe
from .auto_ppn import AutoPpnTask
from .base import Task
from .distill import DistillTask
from .lite_sam import LiteSamTask
from .sam import SamTask

TASKS: dict[str, type[Task]] = {
    "lite_sam": LiteSamTask,
    "sam": SamTask,
    "auto_ppn": AutoPpnTask,
    "distill": DistillTask,
}


def build_task(model: Sam, recipe: Recipe) -> Task:
    """The recipe's task around a model."""
    return TASKS[recipe.task](model, recipe)


__all__ = ["TASKS", "Task", "build_task"]
