# SPDX-License-Identifier: Apache-2.0
"""Time all networks of a bundle: ``python -m evitsam_ros.profiler.network_contender RUNTIME MODEL THREADS``.

The inputs of each call are the same every time.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..backends import BACKENDS, BackendError
from ..bundle import HIGH_RES, Bundle, open_bundle
from ..segment.quadtree_view import Views
from ..segment.transform import Transform
from .interleaving import own_stdout, serve

if TYPE_CHECKING:
    from collections.abc import Callable


def cases_of(bundle: Bundle) -> dict[str, list[tuple[str, dict[str, np.ndarray]]]]:
    """Return, by network, the name and the inputs of each timed call."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 3, bundle.image_size, bundle.image_size), np.float32)
    embedding = rng.standard_normal((1, *bundle.embedding), np.float32)
    high_res = {
        name: rng.standard_normal((1, *shape), np.float32)
        for name, shape in zip(HIGH_RES, bundle.high_res_feats, strict=False)
    }

    def prompts(count: int) -> dict[str, np.ndarray]:
        return {
            "image_embeddings": embedding,
            **high_res,
            "point_coords": rng.uniform(0, bundle.prompt_size, (count, 2, 2)).astype(np.float32),
            "point_labels": np.tile(np.array([2, 3], np.float32), (count, 1)),
            "mask_input": np.zeros((1, 1, *bundle.mask_size), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
        }

    def foveal(count: int) -> dict[str, np.ndarray]:
        inputs = {name: values for name, values in prompts(count).items() if "mask" not in name}
        size = (bundle.prompt_size * 3 // 4, bundle.prompt_size)  # a 4:3 image
        transform = Transform.of(bundle, size)
        return {**inputs, "cells": Views.around(inputs["point_coords"][:, 0], transform).cells()}

    cases = {
        "encoder": [("encoder", {"image": image})],
        "decoder": [(f"decoder, {n} prompts" if n > 1 else "decoder, 1 prompt", prompts(n)) for n in (1, 16)],
        "proposals": [("proposals", {"image_embeddings": embedding})],
        "foveal_decoder": [(f"foveal decoder, {n} prompts", foveal(n)) for n in (16, 64)],
    }
    return {name: cases[name] for name in bundle.networks}


def main(runtime: str, model: str, threads: str) -> None:
    """Serve the networks of a bundle on a runtime."""
    answers, bundle = own_stdout(), open_bundle(model)
    backend = BACKENDS[runtime]()
    try:
        networks = {name: backend.load(bundle, name, int(threads)) for name in bundle.networks}
    except BackendError as error:
        sys.exit(str(error))
    variants: dict[str, Callable[[], object]] = {
        case: partial(networks[name], inputs)
        for name, cases in cases_of(bundle).items()
        for case, inputs in cases
    }
    serve(variants, answers, {"version": backend.version()})


if __name__ == "__main__":
    main(*sys.argv[1:])
