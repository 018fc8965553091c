# SPDX-License-Identifier: Apache-2.0
"""Validate a runtime: its masks against those of float32 ONNX Runtime, on real images and prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autotune.proof import Proof, compare, decoder_feed, foveal_feed, prompts_for, proposals_for
from ..backends import FunctionNetwork, Network, Runtime
from ..bundle import NETWORKS, Bundle
from ..segment import Segmenter
from ..segment.transform import Transform, preprocess
from .rounding import run_as_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from onnx import ModelProto


class ValidationError(ValueError):
    """Report masks that differ from the reference's; the message names the first difference."""


def feeds_for(
    bundle: Bundle, graphs: dict[str, ModelProto], images: Sequence[np.ndarray]
) -> dict[str, list[dict]]:
    """Make the inputs of the networks of a bundle on real images, for measuring."""
    runtime = graphs_runtime({"encoder": graphs["encoder"]}, "float32")
    feeds: dict[str, list[dict]] = {name: [] for name in NETWORKS}
    for image in images:
        blob = preprocess(image, bundle.image_size, bundle.mean, bundle.std)
        encoded = runtime.encode(blob)
        feeds["encoder"].append({"image": blob})
        feeds["proposals"].append({"image_embeddings": encoded.image_embeddings})
        transform = Transform.of(bundle, image.shape[:2])
        prompts = prompts_for(image)
        for group in ([p for p in prompts if p.box is not None], [p for p in prompts if p.box is None]):
            feeds["decoder"].append(decoder_feed(group, encoded, transform))
        for group in proposals_for(image):
            feeds["foveal_decoder"].append(foveal_feed(group, encoded, transform))
    return feeds


def prove(
    bundle: Bundle, candidate: Runtime, images: Iterable[np.ndarray], precision: str, *, ran: bool
) -> Proof:
    """Compare network outputs and masks of a candidate with float32 ONNX Runtime's."""
    from ..backends import open_runtime

    reference = Segmenter(bundle, open_runtime(bundle, "onnxruntime"))
    return compare(reference, Segmenter(bundle, candidate), images, precision, ran=ran)


def graphs_runtime(graphs: dict[str, ModelProto], description: str, threads: int = 0) -> Runtime:
    """Make a runtime of graphs, executed as they are written (see :mod:`~evitsam_ros.tensorrt.rounding`)."""

    def network(model: ModelProto) -> Network:
        session = run_as_written(model, threads)
        names = {entry.name for entry in session.get_inputs()}
        return FunctionNetwork(
            lambda inputs: session.run(None, {k: v for k, v in inputs.items() if k in names})
        )

    return Runtime({name: network(model) for name, model in graphs.items()}, description)
