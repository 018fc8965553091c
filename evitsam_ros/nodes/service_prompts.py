# SPDX-License-Identifier: Apache-2.0
"""Convert evitsam_interfaces/ObjectPrompt to prompts, by the rules that hold for topics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..segment import Prompt, PromptError
from .prompt_messages import BACKGROUND, MAX_OBJECTS, ObjectPrompt


def prompts_from_objects(messages: Sequence[Any]) -> list[ObjectPrompt]:
    """Convert messages of type evitsam_interfaces/ObjectPrompt.

    Raises:
        PromptError: naming the object by its index, and the value that is wrong.
    """
    if len(messages) > MAX_OBJECTS:
        raise PromptError(f"{len(messages)} objects at once; expected at most {MAX_OBJECTS}")
    objects = []
    for index, message in enumerate(messages):
        try:
            objects.append(_object(message))
        except PromptError as error:
            raise PromptError(f"object {index}: {error}") from error
    names = [item.sender_id for item in objects if item.sender_id]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise PromptError(f"the name {twice!r} is given twice; expected different names")
    return objects


def _object(message: Any) -> ObjectPrompt:
    if len(message.points) % 2:
        raise PromptError(f"points are {len(message.points)} numbers; expected x, y of each point")
    if len(message.box) not in (0, 4):
        raise PromptError(f"box has {len(message.box)} numbers; expected x0, y0, x1, y1 or none")
    if message.labels and not message.points:
        raise PromptError(f"{len(message.labels)} labels without points; expected one label a point")
    if math.isnan(message.score):
        raise PromptError("score is NaN; expected 0 to 1, or a negative number for none")
    if message.class_name == BACKGROUND:
        raise PromptError(f"class_name is {BACKGROUND!r}; expected points with label 0 in their object")
    prompt = Prompt.parse(
        points=np.reshape(np.asarray(message.points, float), (-1, 2)) if message.points else None,
        labels=np.asarray(message.labels, float) if message.labels else None,
        box=np.asarray(message.box, float) if message.box else None,
    )
    score = float(message.score) if message.score >= 0 else None
    return ObjectPrompt(prompt, message.class_name, message.name, score)
