# SPDX-License-Identifier: Apache-2.0
"""Convert messages to prompts.

Any detector's Detection2DArray works as it is: a box is a box; a box of zero size is a point; class_id
``background`` makes that point one that the object does not contain; detections with equal ids are one
object; an empty array takes all boxes away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..segment import Prompt, PromptError

BACKGROUND = "background"
MAX_OBJECTS = 256


@dataclass(frozen=True)
class ObjectPrompt:
    """One prompted object of a message.

    Attributes:
        prompt: in pixels.
        name: its class; empty for none.
        sender_id: the id that its sender gave it; empty for none.
        score: of the detector that found it; None for none.
    """

    prompt: Prompt
    name: str = ""
    sender_id: str = ""
    score: float | None = None


@dataclass
class _Parts:
    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    box: tuple[float, float, float, float] | None = None
    name: str = ""
    score: float | None = None


def prompts_from_detections(message) -> list[ObjectPrompt]:
    """Convert a vision_msgs/Detection2DArray to its objects.

    Raises:
        PromptError: naming the detection by its index, and the value that is wrong.
    """
    objects: dict[str | int, _Parts] = {}  # the index in place of an id that is empty
    for index, detection in enumerate(message.detections):
        try:
            _add(objects.setdefault(detection.id or index, _Parts()), detection)
        except PromptError as error:
            raise PromptError(f"detection {index}: {error}") from error
    if len(objects) > MAX_OBJECTS:
        raise PromptError(f"{len(objects)} objects at once; expected at most {MAX_OBJECTS}")
    return [_object(key, parts) for key, parts in objects.items()]


def _object(key: str | int, parts: _Parts) -> ObjectPrompt:
    try:
        prompt = Prompt.parse(points=parts.points or None, labels=parts.labels or None, box=parts.box)
    except PromptError as error:
        which = f"the object with id {key!r}" if isinstance(key, str) else f"detection {key}"
        raise PromptError(f"{which}: {error}") from error
    return ObjectPrompt(prompt, parts.name, key if isinstance(key, str) else "", parts.score)


def _add(parts: _Parts, detection) -> None:
    bbox = detection.bbox
    # Before vision_msgs 4 the centre was a geometry_msgs/Pose2D, with x and y of its own.
    centre = getattr(bbox.center, "position", bbox.center)
    x, y, width, height = centre.x, centre.y, bbox.size_x, bbox.size_y
    if not all(math.isfinite(value) for value in (x, y, width, height, bbox.center.theta)):
        turned = f" turned by {bbox.center.theta}" if bbox.center.theta else ""
        raise PromptError(f"box is {x}, {y}, {width}, {height}{turned}; expected finite numbers")
    if width < 0 or height < 0:
        raise PromptError(f"box size is {width} x {height}; expected 0 or more")
    name = detection.results[0].hypothesis.class_id if detection.results else ""
    if width == 0 and height == 0:
        parts.points.append((x, y))
        parts.labels.append(0 if name == BACKGROUND else 1)
    elif width == 0 or height == 0:
        raise PromptError(f"box size is {width} x {height}; expected both 0 (a point) or neither")
    elif parts.box is not None:
        raise PromptError(f"a second box for the object with id {detection.id!r}; expected one box an object")
    else:
        # A turned box is prompted by the upright box around it.
        cos, sin = abs(math.cos(bbox.center.theta)), abs(math.sin(bbox.center.theta))
        half_x, half_y = (width * cos + height * sin) / 2, (width * sin + height * cos) / 2
        parts.box = (x - half_x, y - half_y, x + half_x, y + half_y)
    if name != BACKGROUND:
        parts.name = parts.name or name
        if detection.results and parts.score is None:
            score = detection.results[0].hypothesis.score
            parts.score = score if math.isfinite(score) else None


def prompt_from_click(x: float, y: float) -> Prompt:
    """Convert a click in pixels to a foreground point.

    Raises:
        PromptError: it is not finite.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        raise PromptError(f"point is ({x}, {y}); expected finite pixels")
    return Prompt.parse(points=[(x, y)], labels=[1])
