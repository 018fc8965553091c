# SPDX-License-Identifier: Apache-2.0
"""Time an image to the full-size mask of a box.

``python -m bench.box_contender ours|reference BUNDLE [THREADS [BACKEND]]``; 0: all threads. The reference has
no backend.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler.interleaving import Variants, own_stdout, serve
from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.transform import preprocess

from .workload import BOX, photograph

if TYPE_CHECKING:
    import numpy as np

MASK, ENCODER = "image -> box mask", "encoder"


def ours(bundle: Path, image: np.ndarray, threads: int, backend: str = "auto") -> tuple[Variants, dict]:
    """Make the variants of a backend; ``auto``: the best of the CPU. Masks are resized inside their boxes."""
    segmenter = Segmenter.open(bundle, backend, threads)
    expects = segmenter.bundle
    blob = preprocess(image, expects.image_size, expects.mean, expects.std)
    box = [Prompt(box=BOX)]
    variants = {
        MASK: lambda: segmenter.decode(segmenter.embed(image), box).full()[0],
        ENCODER: lambda: segmenter.runtime.encode(blob),
    }
    return variants, {"runtimes": segmenter.description}


def reference(bundle: Path, image: np.ndarray, threads: int) -> tuple[Variants, dict]:
    """Make the variants of eager PyTorch, as the papers' code runs it."""
    import torch

    from evitsam_ros.bundle import CHECKPOINT

    from .reference import Reference

    if threads:
        torch.set_num_threads(threads)
    opened = open_bundle(bundle)
    model = Reference(opened.name, bundle / CHECKPOINT, opened.image_size)
    blob = model.preprocess(image)
    variants = {MASK: lambda: model.mask(image, BOX), ENCODER: lambda: model.encode(blob)}
    return variants, {"runtimes": f"torch {torch.__version__}, eager, {torch.get_num_threads()} threads"}


def main(contender: str, bundle: str, threads: str = "0", *backend: str) -> None:
    """Serve the variants of a contender."""
    answers = own_stdout()
    variants, facts = {"ours": ours, "reference": reference}[contender](
        Path(bundle), photograph(), int(threads), *backend
    )
    # The share of the image that the mask fills decides the cost of resizing it.
    serve(variants, answers, facts | {"filled": float(variants[MASK]().mean())})


if __name__ == "__main__":
    main(*sys.argv[1:])
