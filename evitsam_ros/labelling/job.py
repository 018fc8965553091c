# SPDX-License-Identifier: Apache-2.0
"""The work on every image of the inputs: model, prompts, ids, classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..bundle import DEFAULT_MODEL, DEFAULT_SEMANTIC, DESCRIPTION, find_bundle, sha256
from ..segment import Prompt

if TYPE_CHECKING:
    from pathlib import Path

#: Max frames of a part of a recording, if ids do not need all of it.
DEFAULT_CUT = 3000


class JobError(ValueError):
    """Report a run that cannot start or continue with any input: options, model, or output folder."""


@dataclass(frozen=True)
class Job:
    """Options of a run; rows depend on these, the model and the inputs alone.

    Attributes:
        model: name of a bundle, or its folder.
        backend: inference runtime, ``auto`` for the fastest.
        everything: all objects of an image.
        points: x, y in pixels and label (1 foreground, 0 background) of one object.
        boxes: x0, y0, x1, y1 in pixels, one object each.
        max_prompts: max number of prompts in everything mode.
        detections: topic of a vision_msgs/Detection2DArray in the bag; its boxes and points are prompts of
            the image of the same stamp; empty for none.
        track: ids last through a sequence.
        semantic: classes: of masks beside prompts, else of regions.
        semantic_model: the bundle of the classes.
        score_threshold: pixels of less confidence are void.
        image_topics: topics of bags; empty for every image topic.
        cut: max number of frames of a unit; 0: sequences are not cut.
        bags: also write the answered bags.
    """

    model: str = DEFAULT_MODEL
    backend: str = "auto"
    everything: bool = False
    points: tuple[tuple[float, float, float], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    max_prompts: int = 64
    detections: str = ""
    track: bool = False
    semantic: bool = False
    semantic_model: str = DEFAULT_SEMANTIC
    score_threshold: float = 0.0
    image_topics: tuple[str, ...] = ()
    cut: int = DEFAULT_CUT
    bags: bool = False

    def __post_init__(self) -> None:
        asked = [bool(self.points or self.boxes), self.everything, bool(self.detections)]
        if sum(asked) > 1 or not (any(asked) or self.semantic):
            raise JobError("give one of --point or --box, --everything, --detections; or --semantic alone")
        if not 0 <= self.score_threshold <= 1:
            raise JobError(f"score threshold {self.score_threshold} is not between 0 and 1")
        if self.track and (self.detections or not (self.everything or self.points or self.boxes)):
            raise JobError("--track is for --everything, --point and --box")
        if self.bags and not (self.track and not self.semantic):
            raise JobError("--bags is for --everything, --point and --box without --semantic; it tracks ids")

    @property
    def has_masks(self) -> bool:
        """Return whether masks of objects are requested, not only classes."""
        return self.everything or bool(self.points or self.boxes or self.detections)

    def prompts(self) -> list[Prompt]:
        """Return the given prompts: an object for each box, and one for all points.

        Raises:
            PromptError: A prompt is invalid for every image.
        """
        found = [Prompt.parse(box=list(box)) for box in self.boxes]
        if self.points:
            labels = [point[2] for point in self.points]
            found.append(Prompt.parse(points=[list(point[:2]) for point in self.points], labels=labels))
        return found

    def options(self) -> dict[str, Any]:
        """Return the options for a manifest: JSON types, without those of the model."""
        listed = asdict(self)
        return {
            name: [list(v) if isinstance(v, tuple) else v for v in value]
            if isinstance(value, tuple)
            else value
            for name, value in listed.items()
            if name not in ("model", "semantic_model")
        }

    def models(self) -> dict[str, dict[str, str]]:
        """Return the bundles that are used, by role: name, and SHA-256 of the description.

        The description lists the SHA-256 of every network.

        Raises:
            BundleError: A bundle is missing.
        """
        used = {"model": self.model} if self.has_masks else {}
        if self.semantic:
            used["semantic_model"] = self.semantic_model
        return {role: _described(find_bundle(name)) for role, name in used.items()}


def _described(folder: Path) -> dict[str, str]:
    return {"name": folder.name, "sha256": sha256(folder / DESCRIPTION)}
