# SPDX-License-Identifier: Apache-2.0
"""The network of a dense bundle while it is measured: proved on label maps, or on upscaled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import BACKENDS, Runtime
from ..bundle import DENSE_NETWORK
from ..dense import UpscaleBundle
from ..dense.bundle import DenseBundle
from .bench import COMPARE_S, Bench
from .dense_proof import DenseProof, compare_dense, dense_feeds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .budget import Budget


class DenseBench(Bench[DenseBundle]):
    """Load, time and prove the network of a dense bundle; arguments as of :class:`.bench.Bench`.

    Of an image that is upscaled one tile is taken, from its middle.
    """

    def __init__(
        self, bundle: DenseBundle, images: Sequence[np.ndarray], reference: str, budget: Budget
    ) -> None:
        if isinstance(bundle, UpscaleBundle):
            images = [_middle(image, bundle.input_size) for image in images]
        super().__init__(bundle, images, reference, budget)

    def prove(self, backends: Mapping[str, str], compared: Collection[str]) -> DenseProof:
        """Compare answers with those of float32.

        Args:
            backends: that of the network.
            compared: the network.
        """
        name = backends[DENSE_NETWORK]
        reference, candidate = (
            Runtime({DENSE_NETWORK: self._load(DENSE_NETWORK, each)}, "being measured")
            for each in (self._reference, name)
        )
        self._budget.check(COMPARE_S * len(self._images))
        precision = BACKENDS[name].precision
        return compare_dense(self._bundle, reference, candidate, self._images, precision, ran=True)

    def _feed(self, network: str, image: np.ndarray) -> dict[str, Any]:
        return dense_feeds(self._bundle, image)[0]


def _middle(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of an image, (H, W) pixels at most."""
    top, left = (max(0, (whole - part) // 2) for whole, part in zip(image.shape, size, strict=False))
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])
