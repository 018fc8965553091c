# SPDX-License-Identifier: Apache-2.0
"""From what was recorded to the parts of a report."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from ..backends.base import CPU
from ..bundle import DESCRIPTION, sha256
from .ceilings import Ceilings
from .floors import floor_ms
from .macs import Work
from .report import Ceiling, Stage
from .spans import DEVICE, HOST, samples_of
from .stages import FRAME, RESIZE, REST, STAGES, RecordingSegmenter, boxes_stage

#: Networks that the stages of these names wait for; a stage that waits for none runs on the host.
NETWORKS_OF = {"encoder": {"encoder"}, "proposals": {"proposals"}, "decoder": {"decoder", "region_decoder"}}


def stages_of(
    segmenter: RecordingSegmenter,
    prompts: Sequence[int],
    runs: int,
    work: dict[str, Work],
    ceilings: Ceilings,
) -> list[Stage]:
    """The stages in order, with their floors: parts of a frame, the frame, boxes, then what a device told."""
    spans = segmenter.recorder.spans
    own = samples_of(spans, runs)
    # What is the frame's own lies between its stages.
    own[REST, HOST] = own.pop((FRAME, HOST))
    own[FRAME, HOST] = samples_of(spans, runs, own=False)[FRAME, HOST]
    names = [*STAGES, FRAME, *(boxes_stage(count) for count in prompts)]
    on_device = stages_on_device(segmenter)
    rates = median(ceilings.macs_per_s), median(ceilings.bytes_per_s)
    stages = []
    # The ceilings are the CPU's: they say nothing about a GPU.
    floors = {name: floor_ms(done, *rates) for name, done in work.items() if name not in on_device}
    if set(work) & set(STAGES) <= set(floors):
        floors[FRAME] = sum(floors.get(name, 0.0) for name in STAGES)
    for name in (name for name in names if (name, HOST) in own):
        done, floor = work.get(name), floors.get(name)
        macs, moved = (done.macs, done.bytes) if done else (None, None)
        stages.append(Stage(name, HOST, own[name, HOST], macs, moved, floor))
    return stages + [Stage(name, DEVICE, values) for (name, clock), values in own.items() if clock == DEVICE]


def stages_on_device(segmenter: RecordingSegmenter) -> set[str]:
    """Stages that wait for a GPU."""
    facts = segmenter.runtime.facts()
    away = {name for name, told in facts.items() if told["device"] != CPU}
    found = {
        stage
        for stage in {span.name for span in segmenter.recorder.spans}
        for start, networks in NETWORKS_OF.items()
        if stage.startswith(start) and away & set(networks)
    }
    return found | ({RESIZE} if segmenter.runtime.preprocess is not None else set())


def ceilings_of(ceilings: Ceilings) -> list[Ceiling]:
    """What the machine can do at most, as it is reported."""
    threads = f"{ceilings.threads} thread{'s' if ceilings.threads > 1 else ''}"
    return [
        Ceiling(
            "matrix product",
            "GMAC/s",
            f"float32, {ceilings.side} x {ceilings.side}, NumPy's BLAS, {threads}",
            [value / 1e9 for value in ceilings.macs_per_s],
        ),
        Ceiling(
            "copy",
            "GB/s",
            f"64 MiB, read and written bytes, {threads}",
            [value / 1e9 for value in ceilings.bytes_per_s],
        ),
    ]


def model_facts(segmenter: RecordingSegmenter) -> dict[str, Any]:
    """The bundle, and how each of its networks ran."""
    bundle = segmenter.bundle
    facts = segmenter.runtime.facts()
    hashes = bundle.description["networks"]
    return {
        "name": bundle.name,
        "bundle_sha256": sha256(bundle.folder / DESCRIPTION),
        "image_size": bundle.image_size,
        "embedding": list(bundle.embedding),
        "mask_size": list(bundle.mask_size),
        "runtimes": segmenter.description,
        "networks": {
            name: {"sha256": hashes[name]["sha256"], **facts.get(name, {})} for name in bundle.networks
        },
    }
