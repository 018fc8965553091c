# SPDX-License-Identifier: Apache-2.0
"""Optimisation profiles: the shapes that an engine takes, and those that it is fast for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..bundle import HIGH_RES, Bundle
from ..segment.fovea import Views
from ..segment.segmenter import FOVEAL_CHUNK
from ..segment.transform import Transform

#: A network's inputs by name: their least, best and largest shapes.
Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]


def profiles_for(
    bundle: Bundle,
    network: str,
    prompts: Sequence[tuple[int, int]],
    points: tuple[int, int] = (1, 10),
    batch: int = 1,
) -> tuple[Shapes, ...]:
    """Optimisation profiles of a network; none where every shape is fixed.

    Args:
        bundle: whose network it is.
        network: its name in the bundle.
        prompts: ranges of prompts a decoder call, one profile each.
        points: fewest and most points a prompt, its corners or padding not counted.
        batch: most images an encoder call; tuned for one.
    """
    if network == "decoder":
        return _decoder_profiles(bundle, prompts, points)
    if network == "foveal_decoder":
        return (_foveal_profile(bundle, points),)
    if network == "encoder":
        one = (1, 3, bundle.image_size, bundle.image_size)
        return ({"image": (one, one, (batch, *one[1:]))},)
    return ()


def _decoder_profiles(
    bundle: Bundle, prompts: Sequence[tuple[int, int]], points: tuple[int, int]
) -> tuple[Shapes, ...]:
    """One profile for a range of prompts; a prompt is its points and two corners, or a padding point."""
    low, high = points[0] + 1, points[1] + 2
    usual = min(high, low + 1)
    mask = bundle.mask_size
    profiles = []
    for least, most in prompts:
        counts = (least, most, most)
        tokens = (low, usual, high)
        masks = (1, 1, most)
        profiles.append(
            {
                **_image_inputs(bundle),
                "point_coords": tuple((b, n, 2) for b, n in zip(counts, tokens, strict=True)),
                "point_labels": tuple((b, n) for b, n in zip(counts, tokens, strict=True)),
                "mask_input": tuple((m, 1, *mask) for m in masks),
                "has_mask_input": tuple((m,) for m in masks),
            }
        )
    return tuple(profiles)


def _image_inputs(bundle: Bundle) -> Shapes:
    """What a decoder reads of the image; its shapes are fixed."""
    shapes = {"image_embeddings": (1, *bundle.embedding)}
    shapes |= {name: (1, *shape) for name, shape in zip(HIGH_RES, bundle.high_res_feats, strict=False)}
    return {name: (shape,) * 3 for name, shape in shapes.items()}


def _foveal_profile(bundle: Bundle, points: tuple[int, int]) -> Shapes:
    """What the segmenter sends: few prompts or many, points with a box or a padding point, any picture.

    Views along outlines have more cells than those around points, at any size.
    """
    usual = 3 if bundle.proposals_as == "boxes" else 2
    counts, tokens = (1, FOVEAL_CHUNK, FOVEAL_CHUNK), (2, usual, points[1] + 2)
    side = bundle.prompt_size
    sizes = ((1, side), (side * 3 // 4, side), (side, side))
    small, picture, large = (Transform.of(bundle, size) for size in sizes)
    point, outline = np.zeros((1, 2)), np.zeros((1, *bundle.embedding[1:]))
    views = Views.around(point, small), Views.around(point, picture), Views.along(outline, large)
    cells = [view.cells().shape[1] for view in views]
    return {
        **_image_inputs(bundle),
        "point_coords": tuple((b, n, 2) for b, n in zip(counts, tokens, strict=True)),
        "point_labels": tuple(zip(counts, tokens, strict=True)),
        "cells": tuple(zip(counts, cells, strict=True)),
    }
