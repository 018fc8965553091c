# SPDX-License-Identifier: Apache-2.0
"""Time a segmenter as a node uses it: ``python -m bench.default_contender MODEL BACKEND PRECISION THREADS``.

With backend and precision ``auto``, the backends are those that were measured on this machine before.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from evitsam_ros.profiler.interleaving import Variants, own_stdout, serve
from evitsam_ros.segment import Prompt, Segmenter

from .box_contender import MASK
from .workload import BOX, photograph

if TYPE_CHECKING:
    import numpy as np

EVERYTHING = "everything, 64 prompts"


def variants_of(segmenter: Segmenter, image: np.ndarray) -> Variants:
    """Return the calls to time: an image to the full-size mask of a box, and to all masks."""
    box = [Prompt(box=BOX)]
    return {
        MASK: lambda: segmenter.decode(segmenter.embed(image), box).full()[0],
        EVERYTHING: lambda: segmenter.everything(image, 64),
    }


def main(model: str, backend: str, precision: str, threads: str) -> None:
    """Serve the variants of a segmenter."""
    answers = own_stdout()
    segmenter = Segmenter.open(model, backend, int(threads), precision=precision)
    serve(variants_of(segmenter, photograph()), answers, {"runtimes": segmenter.description})


if __name__ == "__main__":
    main(*sys.argv[1:])
