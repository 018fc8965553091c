# SPDX-License-Identifier: Apache-2.0
"""Validate runtimes of bundles of any kind, for the build of engines and ``evitsam verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autotune.dense_proof import compare_dense, dense_feeds
from ..backends import open_runtime
from ..bundle import DENSE_NETWORK, Bundle
from . import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from onnx import ModelProto

    from ..autotune.dense_proof import DenseProof
    from ..autotune.proof import Proof
    from ..backends import Runtime
    from ..dense.bundle import AnyBundle


def feeds_for(
    bundle: AnyBundle, graphs: dict[str, ModelProto], images: Sequence[np.ndarray]
) -> dict[str, list[dict]]:
    """Make the inputs of the networks of a bundle on real images, for measuring."""
    if isinstance(bundle, Bundle):
        return validate.feeds_for(bundle, graphs, images)
    return {DENSE_NETWORK: [feed for image in images for feed in dense_feeds(bundle, image)]}


def prove(
    bundle: AnyBundle, candidate: Runtime, images: Iterable[np.ndarray], precision: str, *, ran: bool
) -> Proof | DenseProof:
    """Compare network outputs and answers of a candidate with float32 ONNX Runtime's."""
    if isinstance(bundle, Bundle):
        return validate.prove(bundle, candidate, images, precision, ran=ran)
    return compare_dense(
        bundle, open_runtime(bundle, "onnxruntime"), candidate, list(images), precision, ran=ran
    )
