# SPDX-License-Identifier: Apache-2.0
"""What each stage has to do at least: multiply-adds of its networks, bytes that come in and go out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..backends import FunctionNetwork, Network
from ..bundle import Bundle
from ..segment import Masks
from . import stages
from .inputs import Picture
from .macs import Work, graph_work
from .stages import Looked, RecordingSegmenter, boxes, run_frame


@dataclass
class Calls:
    """The calls of networks by stage, with their inputs on the host."""

    made: list[tuple[str, str, dict[str, np.ndarray]]] = field(default_factory=list)

    @contextmanager
    def listening(self, segmenter: RecordingSegmenter) -> Iterator[None]:
        """Note every call of the segmenter's networks."""
        runtime = segmenter.runtime
        tapped: dict[str, Network] = {name: self._tap(segmenter, name) for name in runtime.networks}
        segmenter.runtime = replace(runtime, networks=tapped)
        try:
            yield
        finally:
            segmenter.runtime = runtime

    def _tap(self, segmenter: RecordingSegmenter, name: str) -> FunctionNetwork:
        network, recorder = segmenter.runtime.networks[name], segmenter.recorder

        def call(inputs: dict[str, Any]) -> list[Any]:
            given = {key: _on_host(value) for key, value in inputs.items()}
            self.made.append((recorder.stage_now, name, given))
            return network(inputs)

        return FunctionNetwork(call)

    def prompts(self, stage: str) -> int:
        """How many prompts a stage decoded."""
        return sum(len(given["point_labels"]) for at, _, given in self.made if at == stage)


def _on_host(value: Any) -> np.ndarray:
    array = value.cpu().numpy() if hasattr(value, "cpu") else np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def count_work(
    segmenter: RecordingSegmenter,
    pictures: Sequence[Picture],
    prompts: Sequence[int],
    top_n: int,
    looked: Sequence[Looked] = (),
) -> dict[str, Work]:
    """The work of each stage, the mean over the pictures, without stages whose networks cannot be counted.

    ``looked``: the pictures with what is looked at closer; empty where nothing is.
    """
    total: dict[str, Work] = {}
    counted: dict[Any, Work | None] = {}
    for number, picture in enumerate(pictures):
        calls = Calls()
        with calls.listening(segmenter):
            embedding, masks = run_frame(segmenter, picture, top_n)
            for count in prompts:
                segmenter.decode_boxes(embedding, boxes(count, picture.size))
            if looked:
                looked[number].closer(segmenter)
        parts: list[tuple[str, Work | None]] = [*_host_work(segmenter.bundle, picture, calls, masks)]
        parts += [(at, _call_work(segmenter.bundle, name, given, counted)) for at, name, given in calls.made]
        failed = {at for at, work in parts if work is None}
        for at, work in parts:
            if work is not None and at not in failed:
                total[at] = total.get(at, Work()) + work
    share = 1 / len(pictures)
    return {at: Work(work.macs * share, work.bytes * share, work.uncounted) for at, work in total.items()}


def _call_work(
    bundle: Bundle, name: str, given: dict[str, np.ndarray], counted: dict[Any, Work | None]
) -> Work | None:
    key = (name, *((key, value.shape) for key, value in sorted(given.items())))
    if key not in counted:
        counted[key] = graph_work(bundle.networks[name], given)
    return counted[key]


def _host_work(bundle: Bundle, picture: Picture, calls: Calls, masks: Masks) -> list[tuple[str, Work]]:
    """Bytes that the stages on the host read and write at least; a filter reads every logit once."""
    pixels = picture.size[0] * picture.size[1]
    parts = [masks.crop(index)[0] for index in range(len(masks))]
    drawn = sum(part.size for part in parts)
    cells = drawn / float(masks.transform.pixels_per_cell.prod())
    logits = calls.prompts(stages.DECODER) * float(np.prod(bundle.mask_size))
    labels = 2 * pixels
    moved = {
        stages.DECODE: len(picture.jpeg) + 3 * pixels,
        stages.RESIZE: 3 * pixels + 3 * 4 * bundle.image_size**2,
        stages.FILTER: 4 * logits,
        stages.UPSAMPLE: 4 * cells + drawn,
        stages.LABEL_MAP: drawn + labels,
        stages.FILL: 2 * labels,
    }
    return [(stage, Work(0, moved[stage])) for stage in moved]


def floor_ms(work: Work, macs_per_s: float, bytes_per_s: float) -> float:
    """The longer of what the multiply-adds and what the bytes take at the machine's ceilings."""
    return max(work.macs / macs_per_s, work.bytes / bytes_per_s) * 1e3
