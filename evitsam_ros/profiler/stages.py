# SPDX-License-Identifier: Apache-2.0
"""Run one image through the real path, stage by stage: JPEG bytes to the bytes of the label map's message."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

import numpy as np

from ..io.encodings import byte_array
from ..segment import CloserLooks, Embedding, Frame, Masks, Prompt, Segmenter, look_closer
from ..segment.timing import StageTimer
from .spans import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..backends import Runtime
    from ..bundle import Bundle
    from ..dense import SemanticSegmenter
    from .inputs import EncodedImage

TOTAL, UNATTRIBUTED = "whole frame", "in between"
DECODE, RESIZE, ENCODER, PROPOSALS = "decode image", "resize, normalise", "encoder", "proposals"
DECODER, FILTER, UPSAMPLE = "decoder, everything", "low-res filter", "upsample"
LABEL_MAP, FILL, REFINE = "label map", "message fill", "decoder, second look"
CLEAN = "small regions"
#: With a semantic network: the class of every mask.
CLASSIFY = "classes of masks"
#: Of prompted objects with masks from before; its networks are part of it.
CLOSER = "closer"
#: In the order of the work.
STAGES = (
    *(
        DECODE,
        RESIZE,
        ENCODER,
        PROPOSALS,
        DECODER,
        FILTER,
        REFINE,
        CLEAN,
        CLASSIFY,
        UPSAMPLE,
        LABEL_MAP,
        FILL,
        UNATTRIBUTED,
    ),
)
#: The segmenter's own names of its stages.
NAMES = {
    "preprocess": RESIZE,
    "encode": ENCODER,
    "propose": PROPOSALS,
    "decode": DECODER,
    "filter": FILTER,
    "look again": REFINE,
    "clean": CLEAN,
    "closer": CLOSER,
}


def boxes_stage(count: int) -> str:
    """Return the stage name of a decoder call with ``count`` boxes."""
    return f"decoder, {count} box{'es' if count > 1 else ''}"


class RecordingTimer(StageTimer):
    """A timer that records stages as spans, those on a device by its own clock as well."""

    def __init__(self, segmenter: RecordingSegmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record a stage."""
        recording, span_name = self.segmenter, self.segmenter.names[name]
        if recording.recorder.stage_now == CLOSER:
            with super().stage(name):
                yield
            return
        with super().stage(name), recording.recorder.stage(span_name):
            yield
            recording.runtime.synchronize()
        # The preprocessing on a GPU is queued; the encoder waits for it.
        if recording.device is not None and span_name != RESIZE:
            for span in recording.device.take():
                recording.recorder.on_device(f"{span_name}: {span.name}", span.start, span.end)


class RecordingSegmenter(Segmenter):
    """A segmenter with recorded stages; see :class:`RecordingTimer`."""

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        super().__init__(bundle, runtime)
        self.recorder = Recorder()
        self.device = runtime.device_clock()
        self.names = dict(NAMES)

    def new_timer(self) -> StageTimer:
        """Return a timer that records."""
        return RecordingTimer(self)

    def decode_boxes(self, embedding: Embedding, boxes: Sequence[Prompt]) -> Masks:
        """Decode box prompts, each on the full image."""
        self.names["decode"] = self.names["clean"] = boxes_stage(len(boxes))
        try:
            return self.decode(embedding, boxes)
        finally:
            self.names["decode"], self.names["clean"] = DECODER, CLEAN


@dataclass(frozen=True)
class SmallObjects:
    """An image with the masks of small objects, for closer looks."""

    frame: Frame
    masks: Masks

    @classmethod
    def of(cls, segmenter: Segmenter, image: EncodedImage, count: int) -> SmallObjects:
        """Decode the masks of ``count`` small boxes."""
        frame = image.decode()
        small = boxes(count, image.size, sides=(0.05, 0.3))
        return cls(frame, segmenter.decode(segmenter.embed(frame), small))

    def look_closer(self, segmenter: Segmenter) -> Masks:
        """Look closer at all of them."""
        return look_closer(segmenter, self.frame, self.masks, CloserLooks(len(self.masks)))


@dataclass(frozen=True)
class RecordedMasks(Masks):
    """Masks that record their upsampling as a stage of its own."""

    recorder: Recorder | None = None

    def crop(self, index: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Upsample a mask inside its box."""
        with cast("Recorder", self.recorder).stage(UPSAMPLE):
            return super().crop(index)


def run_frame(
    segmenter: RecordingSegmenter,
    image: EncodedImage,
    max_prompts: int,
    semantic: SemanticSegmenter | None = None,
) -> tuple[Embedding, Masks]:
    """Run everything mode as a node does for a compressed image, with ``semantic`` naming the masks."""
    stage = segmenter.recorder.stage
    with stage(TOTAL):
        with stage(DECODE):
            frame = image.decode()
        embedding = segmenter.embed(frame)
        found = segmenter.everything(embedding, max_prompts)
        if semantic is not None:
            with stage(CLASSIFY):
                semantic.classify(frame.image, found)
        given = {field.name: getattr(found, field.name) for field in fields(found)}
        masks = RecordedMasks(**given, recorder=segmenter.recorder)
        with stage(LABEL_MAP):
            labels = masks.label_map()
        with stage(FILL):
            byte_array(labels)
    return embedding, masks


def boxes(
    count: int, size: tuple[int, int], seed: int = 0, sides: tuple[float, float] = (0.1, 0.7)
) -> list[Prompt]:
    """Return ``count`` boxes of all sizes within (W, H) pixels, the same ones every time.

    ``sides``: the min and max, as shares of the image's.
    """
    rng = np.random.default_rng(seed)
    shares = rng.uniform(*sides, (count, 2))
    corners = rng.uniform(0, 1, (count, 2)) * (1 - shares)
    limits = np.concatenate([corners, corners + shares], axis=1) * np.tile(size, 2)
    return [Prompt(box=box) for box in limits]
