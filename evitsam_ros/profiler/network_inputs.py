# SPDX-License-Identifier: Apache-2.0
"""The calls of each network that are timed, with inputs that are the same every time."""

from __future__ import annotations

import numpy as np

from ..bundle import HIGH_RES, Bundle
from ..segment.quadtree_view import Views
from ..segment.transform import Transform


def cases_of(bundle: Bundle) -> dict[str, list[tuple[str, dict[str, np.ndarray]]]]:
    """Return, by network, the name and the inputs of each call that is timed."""
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
        given = {name: values for name, values in prompts(count).items() if "mask" not in name}
        size = (bundle.prompt_size * 3 // 4, bundle.prompt_size)  # a picture of 4 to 3
        transform = Transform.of(bundle, size)
        return {**given, "cells": Views.around(given["point_coords"][:, 0], transform).cells()}

    cases = {
        "encoder": [("encoder", {"image": image})],
        "decoder": [(f"decoder, {n} prompts" if n > 1 else "decoder, 1 prompt", prompts(n)) for n in (1, 16)],
        "proposals": [("proposals", {"image_embeddings": embedding})],
        "foveal_decoder": [(f"foveal decoder, {n} prompts", foveal(n)) for n in (16, 64)],
    }
    return {name: cases[name] for name in bundle.networks}
