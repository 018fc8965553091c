# SPDX-License-Identifier: Apache-2.0
"""Compare EfficientViT-Seg-B0 with eager PyTorch and with SegFormer-B1, the rival of its paper."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from evitsam_ros.profiler.interleaving import Contender, interleave
from evitsam_ros.profiler.measurements import MORE, Figure, Suite, ratio_of

from .known_bundle import cached_bundle
from .semantic_contender import CONTENDERS, variant

if TYPE_CHECKING:
    from pathlib import Path

    from .workload import Settings

MODEL = "efficientvit_seg_b0_cityscapes"
#: (H, W) of the network's input: half and whole frames of Cityscapes.
SIZES = ((512, 1024), (1024, 2048))
TITLES = {"ours": "B0, ours", "eager": "B0, eager PyTorch", "segformer": "SegFormer-B1, eager PyTorch"}


def _export(size: tuple[int, int], folder: Path) -> None:
    from evitsam_ros.dense_export import export_network

    export_network(MODEL, None, folder, size=size, with_weights=True)


def semantic(settings: Settings) -> Suite:
    """Measure the suite ``semantic``."""
    folders = [
        str(cached_bundle(f"{MODEL}_{variant(size)}", partial(_export, size)))
        for size in SIZES[: settings.semantic_sizes]
    ]
    variants = [variant(size) for size in SIZES[: settings.semantic_sizes]]
    with ExitStack() as stack:
        contenders = [
            stack.enter_context(Contender("bench.semantic_contender", name, *folders)) for name in CONTENDERS
        ]
        times, _ = interleave(contenders, variants, settings.semantic)
        facts = {name: each.facts for name, each in zip(CONTENDERS, contenders, strict=True)}
    suite = Suite()
    for size in variants:
        samples = {name: [1e3 * s for s in times[number, size]] for number, name in enumerate(CONTENDERS)}
        for name, values in samples.items():
            suite.add(Figure(f"semantic/{name}/{size}", f"{TITLES[name]}, {size}", "ms", values))
        suite.ratios += [
            ratio_of(
                f"semantic/{size}: speed",
                f"B0, {size}: eager / ours",
                samples["eager"],
                samples["ours"],
                MORE,
            ),
            ratio_of(
                f"semantic/{size}: rival",
                f"{size}: SegFormer-B1 / B0, ours",
                samples["segformer"],
                samples["ours"],
                MORE,
            ),
            ratio_of(
                f"semantic/{size}: rival, both eager",
                f"{size}: SegFormer-B1 / B0, both eager",
                samples["segformer"],
                samples["eager"],
                MORE,
            ),
        ]
    suite.notes += [f"{TITLES[name]}: {fact['runtimes']}" for name, fact in facts.items()]
    return suite
