# SPDX-License-Identifier: Apache-2.0
"""Define optimisation profiles: the shapes that an engine accepts, and those that it is tuned for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..bundle import DENSE_NETWORK, HIGH_RES, Bundle
from ..segment.decoder_inputs import FOVEAL_CHUNK
from ..segment.prompt import MAX_POINTS
from ..segment.quadtree_view import Views
from ..segment.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..dense.bundle import AnyBundle

#: Max points of a prompt in calls of any number of prompts: memory grows with prompts times points.
USUAL_POINTS = 10
#: Max number of prompts of a call if they have more points.
MAX_PROMPTS_OF_MANY_POINTS = 16
#: Tokens of a prompt beside its points: one padding point, or the two corners of its box.
PADDING, CORNERS = 1, 2
#: A network's inputs by name: their min, opt and max shapes.
Shapes = dict[str, tuple[tuple[int, ...], ...]]
#: Min, opt and max of a number.
Range = tuple[int, int, int]


def profiles_for(
    bundle: AnyBundle,
    network: str,
    prompts: Sequence[tuple[int, int]],
    points: int = MAX_POINTS,
    batch: int = 1,
) -> tuple[Shapes, ...]:
    """Return the optimisation profiles of a network; none if every shape is fixed.

    Args:
        bundle: the bundle of the network.
        network: its name in the bundle.
        prompts: ranges of prompts per decoder call, one profile each.
        points: max points per prompt, not counting corners or padding. More than ``USUAL_POINTS`` get a
            profile of their own, of few prompts.
        batch: max images per encoder call; the engine is tuned for one.
    """
    if not isinstance(bundle, Bundle):
        one = (1, 3, *bundle.input_size)
        return ({"image": (one, one, (batch, *one[1:]))},) if network == DENSE_NETWORK else ()
    if network == "decoder":
        return _decoder_profiles(bundle, prompts, points)
    if network == "foveal_decoder":
        return _foveal_profiles(bundle, points)
    if network == "encoder":
        one = (1, 3, bundle.image_size, bundle.image_size)
        return ({"image": (one, one, (batch, *one[1:]))},)
    return ()


def _decoder_profiles(bundle: Bundle, prompts: Sequence[tuple[int, int]], points: int) -> tuple[Shapes, ...]:
    """One profile for a range of prompts, and one for prompts with many points.

    A prompt is its points and two corners, or a padding point; without points it has a box or a mask.
    """
    max_usual = min(points, USUAL_POINTS) + CORNERS
    usual = (PADDING, min(max_usual, 1 + CORNERS), max_usual)
    ranges = [((low, high, high), usual) for low, high in prompts]
    ranges += _many_points(points)
    return tuple(
        {
            **_image_inputs(bundle),
            **_prompt_inputs(counts, tokens),
            "mask_input": tuple((m, 1, *bundle.mask_size) for m in (1, 1, counts[2])),
            "has_mask_input": tuple((m,) for m in (1, 1, counts[2])),
        }
        for counts, tokens in ranges
    )


def _many_points(points: int) -> list[tuple[Range, Range]]:
    """Return min, opt and max of prompts and tokens for prompts with more than the usual points, if any."""
    if points <= USUAL_POINTS:
        return []
    # No other profile has these tokens, so that few points never run in a profile tuned for many.
    low = USUAL_POINTS + CORNERS + 1
    return [((1, 1, MAX_PROMPTS_OF_MANY_POINTS), (low, low, points + CORNERS))]


def _prompt_inputs(counts: Range, tokens: Range) -> Shapes:
    """Return the shapes of the prompt inputs that both decoders have."""
    return {
        "point_coords": tuple((b, n, 2) for b, n in zip(counts, tokens, strict=True)),
        "point_labels": tuple(zip(counts, tokens, strict=True)),
    }


def _image_inputs(bundle: Bundle) -> Shapes:
    """Return the shapes of the image inputs of a decoder; they are fixed."""
    shapes = {"image_embeddings": (1, *bundle.embedding)}
    shapes |= {name: (1, *shape) for name, shape in zip(HIGH_RES, bundle.high_res_feats, strict=False)}
    return {name: (shape,) * 3 for name, shape in shapes.items()}


def _foveal_profiles(bundle: Bundle, points: int) -> tuple[Shapes, ...]:
    """Return profiles of the segmenter's calls: any number of prompts, points and a box, any image.

    Views along outlines have more cells than views around points, at any image size.
    """
    max_usual = min(points, USUAL_POINTS) + CORNERS
    box_tokens = CORNERS if bundle.proposals_as == "boxes" else PADDING
    ranges = [
        ((1, FOVEAL_CHUNK, FOVEAL_CHUNK), (1 + PADDING, 1 + box_tokens, max_usual)),
        *_many_points(points),
    ]
    side = bundle.prompt_size
    sizes = ((1, side), (side * 3 // 4, side), (side, side))
    small, picture, large = (Transform.of(bundle, size) for size in sizes)
    point, outline = np.zeros((1, 2)), np.zeros((1, *bundle.embedding[1:]))
    views = Views.around(point, small), Views.around(point, picture), Views.along(outline, large)
    cells = [view.cells().shape[1] for view in views]
    return tuple(
        {
            **_image_inputs(bundle),
            **_prompt_inputs(counts, tokens),
            "cells": tuple(zip(counts, cells, strict=True)),
        }
        for counts, tokens in ranges
    )
