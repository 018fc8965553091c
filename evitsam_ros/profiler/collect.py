# SPDX-License-Identifier: Apache-2.0
"""Collect the recordings of a run into a report."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..backends.base import CPU
from ..bundle import DENSE_NETWORK, DESCRIPTION, sha256
from .lower_bounds import lower_bound_ms
from .machine import machine_facts, made_by
from .macs import Work
from .report import PeakRate, Report, Stage
from .spans import DEVICE, HOST, Span, samples_of
from .stages import (
    CLASSIFY,
    CLOSER,
    DECODER,
    ENCODER,
    RESIZE,
    STAGES,
    TOTAL,
    UNATTRIBUTED,
    RecordingSegmenter,
)
from .statistics import best

if TYPE_CHECKING:
    from ..dense import SemanticSegmenter
    from .peak_rates import PeakRates
    from .sensors import Watch

#: Networks that the stages of these names wait for; a stage that waits for none runs on the host.
NETWORKS_OF = {
    "encoder": {"encoder"},
    "proposals": {"proposals"},
    "decoder": {"decoder", "foveal_decoder"},
    CLOSER: {"encoder", "decoder"},
    CLASSIFY: {DENSE_NETWORK},
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
    spans: list[Span], work: dict[str, Work], peak_rates: PeakRates, on_device: set[str]
) -> list[Stage]:
    """Return the stages in order: those of a frame, the frame, boxes, and the device's.

    Args:
        spans: of all runs.
        work: of each stage.
        peak_rates: of the machine.
        on_device: stages without a lower bound, because a GPU does their work.
    """
    runs = 1 + max(span.run for span in spans)
    own = samples_of(spans, runs)
    # The frame's own time lies between its stages.
    own[UNATTRIBUTED, HOST] = own.pop((TOTAL, HOST))
    own[TOTAL, HOST] = samples_of(spans, runs, own=False)[TOTAL, HOST]
    order = list(dict.fromkeys([*STAGES, TOTAL, *(name for name, _ in own)]))
    lower_bounds = _lower_bounds(work, peak_rates, on_device)
    stages = []
    for name, clock in sorted(own, key=lambda key: (key[1] == DEVICE, order.index(key[0]))):
        done = work.get(name, Work()) if clock == HOST else Work()
        stages.append(
            Stage(
                name, clock, own[name, clock], done.macs or None, done.bytes or None, lower_bounds.get(name)
            )
        )
    return stages


def _lower_bounds(work: dict[str, Work], peak_rates: PeakRates, on_device: set[str]) -> dict[str, float]:
    """Return milliseconds by stage, and of the frame if all its networks are counted."""
    rates = best(peak_rates.macs_per_s), best(peak_rates.bytes_per_s)
    lower_bounds = {
        name: lower_bound_ms(done, *rates) for name, done in work.items() if name not in on_device
    }
    if {ENCODER, DECODER} <= set(lower_bounds):
        lower_bounds[TOTAL] = sum(lower_bounds.get(name, 0.0) for name in STAGES)
    return lower_bounds


def stages_on_device(
    segmenter: RecordingSegmenter, names: set[str], semantic: SemanticSegmenter | None = None
) -> set[str]:
    """Return the stages, out of ``names``, that wait for a GPU; ``semantic`` names the masks."""
    infos = [each.runtime.info() for each in (segmenter, semantic) if each is not None]
    away = {name for info in infos for name, facts in info.items() if facts["device"] != CPU}
    found = {
        name
        for name in names
        for start, networks in NETWORKS_OF.items()
        if name.startswith(start) and away & networks
    }
    return found | ({RESIZE} if segmenter.runtime.preprocess is not None else set())


def peak_rates_of(peak_rates: PeakRates) -> list[PeakRate]:
    """Return the peak rates of the machine for a report."""
    threads = f"{peak_rates.threads} thread{'s' if peak_rates.threads > 1 else ''}"
    side = peak_rates.side
    return [
        PeakRate(
            "matrix product",
            "GMAC/s",
            f"float32, {side} x {side}, {peak_rates.library}, the fastest here, {threads}",
            [value / 1e9 for value in peak_rates.macs_per_s],
        ),
        PeakRate(
            "copy",
            "GB/s",
            f"64 MiB, read and written bytes, {threads}",
            [value / 1e9 for value in peak_rates.bytes_per_s],
        ),
    ]


def model_facts(segmenter: RecordingSegmenter, semantic: SemanticSegmenter | None = None) -> dict[str, Any]:
    """Return the bundle, and the runtime of each of its networks; ``semantic`` names the masks."""
    bundle = segmenter.bundle
    networks = _networks(segmenter)
    if semantic is not None:
        networks |= {
            f"{name} of {semantic.bundle.name}": facts for name, facts in _networks(semantic).items()
        }
    return {
        "name": bundle.name,
        "bundle_sha256": sha256(bundle.folder / DESCRIPTION),
        "image_size": bundle.image_size,
        "embedding": list(bundle.embedding),
        "mask_size": list(bundle.mask_size),
        "runtimes": segmenter.description,
        "networks": networks,
    }


def _networks(opened: RecordingSegmenter | SemanticSegmenter) -> dict[str, dict[str, str]]:
    """Return the hash and the runtime of each network of an opened bundle."""
    facts, hashes = opened.runtime.info(), opened.bundle.description["networks"]
    return {name: {"sha256": hashes[name]["sha256"], **facts.get(name, {})} for name in hashes}
