# SPDX-License-Identifier: Apache-2.0
"""Make the JSON of a page beside the image: objects, stages, model, and errors in plain words."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .commands import MAX_NAME, MODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .prompt_set import Box

#: Objects that are listed.
MAX_LISTED = 256
#: Maximum length of a text on the page, characters.
MAX_TEXT = 500


@dataclass(frozen=True)
class ShownObject:
    """One object of the list.

    Attributes:
        identity: value in the label map.
        name: class of the object.
        score: predicted IoU.
        box: in pixels.
        colour: of the overlay, ``#rrggbb``.
    """

    identity: int
    name: str
    score: float
    box: Box
    colour: str


@dataclass(frozen=True)
class CameraStatus:
    """The diagnostics of one camera.

    Attributes:
        is_ok: neither a warning nor an error.
        message: of the diagnostics.
        values: by key.
    """

    is_ok: bool
    message: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class PageState:
    """All that a page shows of one camera.

    Attributes:
        segmenter: full name of the node.
        camera: name of the camera.
        cameras: names of all cameras.
        is_found: a segmenter of that name runs.
        status: diagnostics; None: none yet.
        parameters: ``model`` and ``mode`` of the segmenter, as far as known.
        objects: on the newest answered image.
        own: names of the objects that were prompted on the page.
    """

    segmenter: str
    camera: str
    cameras: Sequence[str] = ("",)
    is_found: bool = False
    status: CameraStatus | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    objects: Sequence[ShownObject] = ()
    own: Sequence[str] = ()

    def to_json(self) -> str:
        """Return the state as the page reads it; texts are cut to a maximum length."""
        values = self.status.values if self.status is not None else {}
        level, text = headline(self)
        stages = {
            key.removeprefix("latency_").removesuffix("_ms"): value
            for key, value in values.items()
            if key.startswith("latency_") and key.endswith("_ms")
        }
        return json.dumps(
            {
                "type": "state",
                "segmenter": self.segmenter,
                "camera": self.camera,
                "cameras": list(self.cameras),
                "level": level,
                "message": text[:MAX_TEXT],
                "last_error": values.get("last_error", "")[:MAX_TEXT],
                "mode": self.parameters.get("mode", ""),
                "model": self.parameters.get("model", "")[:MAX_TEXT],
                "backend": values.get("backend", "")[:MAX_TEXT],
                "rate_in": values.get("rate_in_hz", ""),
                "rate_out": values.get("rate_out_hz", ""),
                "age": values.get("age_ms", ""),
                "stages": stages,
                "objects": [_as_fields(each, self.own) for each in self.objects[:MAX_LISTED]],
            }
        )


def headline(state: PageState) -> tuple[str, str]:
    """Return a level (``ok``, ``warn``, ``error``) and one sentence with the state and the remedy."""
    if not state.is_found:
        launch = "ros2 launch evitsam_ros segmenter.launch.py"
        return "error", f"No segmenter runs under the name {state.segmenter}. Start one: {launch}"
    if state.status is None:
        return "warn", f"Waiting for the diagnostics of {state.segmenter}."
    activity = state.status.values.get("state", "")
    if not state.status.is_ok:
        return "warn", state.status.message
    if activity == "disabled":
        return "warn", f"{state.segmenter} is disabled. Call its service {state.segmenter}/enable."
    if activity != "active":
        node = state.segmenter
        return "warn", f"{node} is {activity or 'inactive'}. Activate it: ros2 lifecycle set {node} activate"
    mode = state.parameters.get("mode", "")
    if mode and mode not in MODES:
        return "warn", f"{state.segmenter} is in mode {mode}, which has no objects to show. Press Everything."
    if state.status.values.get("rate_in_hz") == "0.00":
        return "warn", f"No image arrives at {state.segmenter}. Does the camera run? Does its topic fit?"
    return "ok", ""


def _as_fields(item: ShownObject, own: Sequence[str]) -> dict[str, object]:
    return {
        "id": item.identity,
        "name": item.name[:MAX_NAME],
        "score": round(item.score, 3) if math.isfinite(item.score) else None,
        "box": [round(value, 1) if math.isfinite(value) else 0.0 for value in item.box],
        "colour": item.colour,
        "is_own": item.name in own,
    }
