# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.box_contender ours|reference BUNDLE``: a picture to the full-size mask of a box."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler.interleaving import Variants, own_stdout, serve
from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.transform import preprocess

from .picture import BOX, photograph

MASK, ENCODER = "image -> box mask", "encoder"


def ours(bundle: Path, image: np.ndarray) -> tuple[Variants, dict]:
    """The best CPU runtime; masks at full size inside their boxes only."""
    segmenter = Segmenter.open(bundle)
    expects = segmenter.bundle
    blob = preprocess(image, expects.image_size, expects.mean, expects.std)
    box = [Prompt(box=BOX)]
    variants = {
        MASK: lambda: segmenter.decode(segmenter.embed(image), box).full()[0],
        ENCODER: lambda: segmenter.runtime.encode(blob),
    }
    return variants, {"runtimes": segmenter.description}


def reference(bundle: Path, image: np.ndarray) -> tuple[Variants, dict]:
    """Eager PyTorch, as the papers' code does it."""
    import torch

    from evitsam_ros.bundle import CHECKPOINT

    from .reference import Reference

    model = Reference(open_bundle(bundle).name, bundle / CHECKPOINT)
    blob = model.preprocess(image)
    variants = {MASK: lambda: model.mask(image, BOX), ENCODER: lambda: model.encode(blob)}
    return variants, {"runtimes": f"torch {torch.__version__}, eager, {torch.get_num_threads()} threads"}


def main(whose: str, bundle: str) -> None:
    answers = own_stdout()
    variants, facts = {"ours": ours, "reference": reference}[whose](Path(bundle), photograph())
    # How much of the picture the mask fills decides what bringing it to full size costs.
    serve(variants, answers, facts | {"filled": float(variants[MASK]().mean())})


if __name__ == "__main__":
    main(*sys.argv[1:])
