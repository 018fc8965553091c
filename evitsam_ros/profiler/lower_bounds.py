# SPDX-License-Identifier: Apache-2.0
"""Compute the lower bound of each stage: the multiply-adds of its networks, and the bytes that it moves."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autotune.dense_proof import dense_feeds
from ..backends import FunctionNetwork, Network
from ..bundle import DENSE_NETWORK
from . import stages
from .macs import Work, graph_work
from .stages import RecordingSegmenter, SmallObjects, boxes, run_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..bundle import Bundle, BundleFiles
    from ..dense import SemanticSegmenter
    from ..segment import Masks
    from .inputs import EncodedImage


@dataclass
class Calls:
    """The calls of networks by stage, with their inputs on the host."""

    made: list[tuple[str, str, dict[str, np.ndarray]]] = field(default_factory=list)

    @contextmanager
    def listening(self, segmenter: RecordingSegmenter) -> Iterator[None]:
        """Record every call of the segmenter's networks."""
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
            feed = {key: _on_host(value) for key, value in inputs.items()}
            self.made.append((recorder.stage_now, name, feed))
            return network(inputs)

        return FunctionNetwork(call)

    def prompts(self, stage: str) -> int:
        """Return the number of prompts that a stage decoded."""
        return sum(len(feed["point_labels"]) for at, _, feed in self.made if at == stage)


def _on_host(value: Any) -> np.ndarray:
    array = value.cpu().numpy() if hasattr(value, "cpu") else np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def count_work(
    segmenter: RecordingSegmenter,
    images: Sequence[EncodedImage],
    prompts: Sequence[int],
    max_prompts: int,
    small: Sequence[SmallObjects] = (),
    semantic: SemanticSegmenter | None = None,
) -> dict[str, Work]:
    """Return the work of each stage, as the mean over the images; omit stages that cannot be counted.

    ``small``: the objects of each image for closer looks; empty for none. ``semantic`` names the masks.
    """
    total: dict[str, Work] = {}
    counted: dict[Any, Work | None] = {}
    for number, image in enumerate(images):
        calls = Calls()
        with calls.listening(segmenter):
            embedding, masks = run_frame(segmenter, image, max_prompts, semantic)
            for count in prompts:
                segmenter.decode_boxes(embedding, boxes(count, image.size))
            if small:
                small[number].look_closer(segmenter)
        parts: list[tuple[str, Work | None]] = [*_host_work(segmenter.bundle, image, calls, masks)]
        parts += [(at, _call_work(segmenter.bundle, name, feed, counted)) for at, name, feed in calls.made]
        if semantic is not None:
            (feed,) = dense_feeds(semantic.bundle, image.decode().image)
            parts.append((stages.CLASSIFY, _call_work(semantic.bundle, DENSE_NETWORK, feed, counted)))
        failed = {at for at, work in parts if work is None}
        for at, work in parts:
            if work is not None and at not in failed:
                total[at] = total.get(at, Work()) + work
    share = 1 / len(images)
    return {at: Work(work.macs * share, work.bytes * share, work.uncounted) for at, work in total.items()}


def _call_work(
    bundle: BundleFiles, name: str, feed: dict[str, np.ndarray], counted: dict[Any, Work | None]
) -> Work | None:
    key = (name, *((key, value.shape) for key, value in sorted(feed.items())))
    if key not in counted:
        counted[key] = graph_work(bundle.networks[name], feed)
    return counted[key]


def _host_work(bundle: Bundle, image: EncodedImage, calls: Calls, masks: Masks) -> list[tuple[str, Work]]:
    """Return the bytes that the stages on the host have to move; a filter reads every logit once."""
    pixels = image.size[0] * image.size[1]
    parts = [masks.crop(index)[0] for index in range(len(masks))]
    drawn = sum(part.size for part in parts)
    cells = drawn / float(masks.transform.pixels_per_cell.prod())
    logits = calls.prompts(stages.DECODER) * float(np.prod(bundle.mask_size))
    labels = 2 * pixels
    moved = {
        stages.DECODE: len(image.jpeg) + 3 * pixels,
        stages.RESIZE: 3 * pixels + 3 * 4 * bundle.image_size**2,
        stages.FILTER: 4 * logits,
        stages.UPSAMPLE: 4 * cells + drawn,
        stages.LABEL_MAP: drawn + labels,
        stages.FILL: 2 * labels,
    }
    return [(stage, Work(0, moved[stage])) for stage in moved]


def lower_bound_ms(work: Work, macs_per_s: float, bytes_per_s: float) -> float:
    """Return the time of the multiply-adds or of the bytes at the peak rates, the longer one."""
    return max(work.macs / macs_per_s, work.bytes / bytes_per_s) * 1e3
