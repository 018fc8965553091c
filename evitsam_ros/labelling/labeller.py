# SPDX-License-Identifier: Apache-2.0
"""Label the images of a unit with opened networks, and write its two tables."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dense import SemanticSegmenter
from ..segment import Frame, Masks, PromptError, Segmenter
from ..tracking import TrackedCamera
from . import unit as units
from .job import Job, JobError
from .outcome import Outcome
from .readers import KILLED, Item, Walk, read_unit
from .rows import FRAMES, MASKS, TableFile, frame_row, mask_rows, metadata_of, printable, region_row
from .store import SUFFIX, Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..segment import Prompt
    from .unit import Unit

#: Damaged images of a unit that are named one by one; the others are counted.
NAMED = 5

log = logging.getLogger(__name__)


@dataclass
class _Count:
    images: int = 0
    damaged: int = 0
    skipped: list[str] = field(default_factory=list)


class Labeller:
    """Open the networks of a job once for many units. Not thread-safe.

    Args:
        job: options of the run.
        store: output of the rows.
        threads: CPU threads of a network; 0: one for each core.

    Raises:
        BundleError: A bundle is missing or damaged.
        BackendError: The backend is not installed.
    """

    def __init__(self, job: Job, store: Store, threads: int = 0) -> None:
        self.job, self.store = job, store
        self.prompts: list[Prompt] = job.prompts()
        self.segmenter = Segmenter.open(job.model, job.backend, threads) if job.has_masks else None
        self.semantic = None
        if job.semantic:
            self.semantic = SemanticSegmenter.open(job.semantic_model, job.backend, threads)

    def label(
        self, unit: Unit, skip: frozenset[int] = frozenset(), at: Callable[[int], None] | None = None
    ) -> Outcome:
        """Label a unit and write its tables.

        Args:
            unit: unit to label.
            skip: positions of images that are not decoded.
            at: called with the position of each image before it is decoded.

        Raises:
            ValueError: The source cannot be read, or has no image that can be read.
            OSError: It cannot be reached.
            JobError: The output cannot be written.
        """
        walk = Walk(skip, at) if at is not None else Walk(skip)
        if self.job.bags and unit.kind == units.BAG:
            from .answered import label_and_answer

            return label_and_answer(self, unit, walk.at)
        with UnitTables(self.store, unit) as tables:
            answer = self._answerer()
            for item in read_unit(unit, self.job.detections, walk):
                tables.add(item, *self._answered(answer, item))
        return tables.outcome()

    def _answerer(self) -> Any:
        if self.segmenter is None:
            return self._regions
        if not self.job.track:
            return self._single
        camera = TrackedCamera(self.segmenter)
        numbered = dict(enumerate(self.prompts, start=1))

        def tracked(frame: Frame, item: Item) -> tuple[Masks, dict[int, str]]:
            if self.job.everything:
                return camera.everything(frame, self.job.max_prompts), {}
            return camera.prompted(frame, numbered), {}

        return tracked

    def _answered(self, answer: Any, item: Item) -> tuple[Any, dict[int, str], str]:
        """Return masks or regions of an image, their classes, and why it has none."""
        if item.image is None:
            return None, {}, item.error
        try:
            found, names = answer(Frame(item.image), item)
        except PromptError as error:  # a smaller image among others costs its own masks only
            return None, {}, f"without masks: {error}"
        if self.semantic is not None and isinstance(found, Masks):
            names = {**self._classes(item.image, found), **names}
        return found, names, ""

    def _single(self, frame: Frame, item: Item) -> tuple[Masks, dict[int, str]]:
        assert self.segmenter is not None
        if self.job.everything:
            return self.segmenter.everything(frame, self.job.max_prompts), {}
        prompts = self.prompts
        names: dict[int, str] = {}
        if self.job.detections:
            from .detections import numbered_prompts

            prompts, names = numbered_prompts(item.detections)
        if not prompts:
            return self.segmenter.empty_result(frame), {}
        return self.segmenter.decode(self.segmenter.embed(frame), prompts), names

    def _classes(self, image: np.ndarray, masks: Masks) -> dict[int, str]:
        """Name masks by the majority class of their pixels; a void mask has no name."""
        assert self.semantic is not None
        return dict(self.semantic.classify(image, masks, score_threshold=self.job.score_threshold).names)

    def _regions(
        self, frame: Frame, item: Item
    ) -> tuple[list[tuple[np.ndarray, int, float]], dict[int, str]]:
        """Return mask, label and mean confidence of each class in an image, and their names."""
        assert self.semantic is not None
        threshold = self.job.score_threshold
        found = self.semantic.segment(frame.image, score_threshold=threshold, with_confidence=True)
        assert found.confidence is not None
        present = [int(label) for label in np.unique(found.labels) if label]
        masks = [found.labels == label for label in present]
        means = [float(found.confidence[mask].mean(dtype=np.float64)) for mask in masks]
        names = {label: found.classes.names[label - 1] for label in present}
        return list(zip(masks, present, means, strict=True)), names


class UnitTables:
    """The two tables of a unit; they appear in the store at the end of the block, masks last."""

    def __init__(self, store: Store, unit: Unit) -> None:
        self._store, self._unit, self._count = store, unit, _Count()
        self._metadata = metadata_of(unit)
        self._masks = 0

    def __enter__(self) -> UnitTables:
        # The last to be entered is the first to be left: the frames appear before the masks.
        from contextlib import ExitStack

        with ExitStack() as stack:
            key = f"{self._unit.key}{SUFFIX}"
            self._files = {}
            for table in (MASKS, FRAMES):
                path = stack.enter_context(self._store.new_file(f"{table}/{key}"))
                with self._store.writing():
                    self._files[table] = stack.enter_context(TableFile(path, table, self._metadata))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None and self._count.images == self._count.damaged and not self._may_be_empty:
            fault = ValueError(
                f"{self._unit.title} has no image that can be labelled, of {self._count.images}"
            )
            self._stack.__exit__(ValueError, fault, None)
            raise fault
        with self._store.writing():
            self._stack.__exit__(kind, error, traceback)

    @property
    def _may_be_empty(self) -> bool:
        """Whether a unit without results is right.

        Images that are no sequence are judged one by one, however they are put together. A recording may
        claim more frames than it has, so that its last part has none.
        """
        unit = self._unit
        return (unit.kind == units.IMAGES and not unit.sequence) or (
            unit.first > 0 and not self._count.images
        )

    def add(self, item: Item, found: Any, names: dict[int, str], error: str) -> None:
        """Write the rows of an image."""
        unit = self._unit
        self._count.images += 1
        if error == KILLED:
            self._count.skipped.append(f"{unit.source}, {item.name or f'frame {item.frame}'}: {error}")
        if error:
            self._count.damaged += 1
            if error != KILLED and self._count.damaged <= NAMED:
                log.warning("%s, %s: %s", unit.title, item.name or f"frame {item.frame}", error)
        rows = []
        if isinstance(found, Masks):
            rows = mask_rows(unit, item, found, names)
        elif found is not None:
            rows = [region_row(unit, item, m, i, names[i], score, _extent(m)) for m, i, score in found]
        size = None if item.image is None else (item.image.shape[0], item.image.shape[1])
        with self._store.writing():
            for row in rows:
                self._files[MASKS].add(row)
            self._files[FRAMES].add(frame_row(unit, item, size, len(rows), printable(error)))
        self._masks += len(rows)

    def outcome(self) -> Outcome:
        """Return the counts of the written rows and images."""
        if self._count.damaged > NAMED:
            log.warning("%s: %d images are damaged and have no masks", self._unit.title, self._count.damaged)
        count = self._count
        return Outcome(
            self._unit.key,
            self._unit.title,
            count.images,
            self._masks,
            count.damaged,
            skipped=tuple(count.skipped),
        )


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of a mask in pixels, outer edges."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def open_labeller(job: Job, store: Store, threads: int) -> Labeller:
    """Open the networks, and check that they are those of the manifest.

    Raises:
        JobError: A bundle of this machine is another one than the run began with.
    """
    wanted, here = store.manifest()["models"], job.models()
    for role, entry in wanted.items():
        if here.get(role) != entry:
            raise JobError(
                f"the bundle {entry['name']} on this machine has the hash {here[role]['sha256'][:12]}; "
                f"expected {entry['sha256'][:12]}, with which the run began; copy it to every node"
            )
    return Labeller(job, store, threads)
