# SPDX-License-Identifier: Apache-2.0
"""Collect what was recorded into a report."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ..backends.base import CPU
from ..bundle import DESCRIPTION, sha256
from .ceilings import Ceilings
from .floors import floor_ms
from .machine import machine_facts, made_by
from .macs import Work
from .report import Ceiling, Report, Stage
from .sensors import Watch
from .spans import DEVICE, HOST, Span, samples_of
from .stages import CLOSER, DECODER, ENCODER, FRAME, RESIZE, REST, STAGES, RecordingSegmenter
from .statistics import best

#: Networks that the stages of these names wait for; a stage that waits for none runs on the host.
NETWORKS_OF = {
    "encoder": {"encoder"},
    "proposals": {"proposals"},
    "decoder": {"decoder", "foveal_decoder"},
    CLOSER: {"encoder", "decoder"},
}


def report_of(command: str, watch: Watch, **content: Any) -> Report:
    """Return a report of now and of this machine.

    Args:
        command: repeats it.
        watch: watched the machine meanwhile.
        content: the other fields of the report.
    """
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Report(command, date, made_by(), machine_facts(), watch.facts(), **content)


def stages_of(
    spans: list[Span], work: dict[str, Work], ceilings: Ceilings, on_device: set[str]
) -> list[Stage]:
    """The stages in order: parts of a frame, the frame, boxes, then what a device told.

    Args:
        spans: of the timed runs.
        work: of each stage, where it is counted.
        ceilings: for the floors; they are the CPU's and say nothing about a GPU.
        on_device: names of stages that wait for a GPU.
    """
    runs = 1 + max(span.run for span in spans)
    own = samples_of(spans, runs)
    # What is the frame's own lies between its stages.
    own[REST, HOST] = own.pop((FRAME, HOST))
    own[FRAME, HOST] = samples_of(spans, runs, own=False)[FRAME, HOST]
    order = list(dict.fromkeys([*STAGES, FRAME, *(name for name, _ in own)]))
    floors = _floors(work, ceilings, on_device)
    stages = []
    for name, clock in sorted(own, key=lambda key: (key[1] == DEVICE, order.index(key[0]))):
        done = work.get(name, Work()) if clock == HOST else Work()
        stages.append(
            Stage(name, clock, own[name, clock], done.macs or None, done.bytes or None, floors.get(name))
        )
    return stages


def _floors(work: dict[str, Work], ceilings: Ceilings, on_device: set[str]) -> dict[str, float]:
    """Milliseconds by stage, and of the whole frame where its networks are all counted."""
    rates = best(ceilings.macs_per_s), best(ceilings.bytes_per_s)
    floors = {name: floor_ms(done, *rates) for name, done in work.items() if name not in on_device}
    if {ENCODER, DECODER} <= set(floors):
        floors[FRAME] = sum(floors.get(name, 0.0) for name in STAGES)
    return floors


def stages_on_device(segmenter: RecordingSegmenter, names: set[str]) -> set[str]:
    """Those of the names of stages that wait for a GPU."""
    away = {name for name, told in segmenter.runtime.info().items() if told["device"] != CPU}
    found = {
        name
        for name in names
        for start, networks in NETWORKS_OF.items()
        if name.startswith(start) and away & networks
    }
    return found | ({RESIZE} if segmenter.runtime.preprocess is not None else set())


def ceilings_of(ceilings: Ceilings) -> list[Ceiling]:
    """What the machine can do at most, as it is reported."""
    threads = f"{ceilings.threads} thread{'s' if ceilings.threads > 1 else ''}"
    return [
        Ceiling(
            "matrix product",
            "GMAC/s",
            f"float32, {ceilings.side} x {ceilings.side}, {ceilings.library}, the fastest here, {threads}",
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
    facts = segmenter.runtime.info()
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
