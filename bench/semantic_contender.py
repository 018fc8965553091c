# SPDX-License-Identifier: Apache-2.0
"""Time one image through a semantic network: ``python -m bench.semantic_contender NAME BUNDLE BUNDLE``.

The weights are random, which changes no time. SegFormer-B1 is that of ``transformers``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evitsam_ros.backends import open_runtime
from evitsam_ros.bundle import CHECKPOINT, DENSE_NETWORK
from evitsam_ros.dense import SemanticBundle, open_semantic
from evitsam_ros.profiler.interleaving import Variants, own_stdout, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

#: SegFormer-B1 (Xie et al. 2021, table 6), where it differs from the defaults of ``transformers``.
SEGFORMER_B1 = {
    "depths": [2, 2, 2, 2],
    "hidden_sizes": [64, 128, 320, 512],
    "decoder_hidden_size": 256,
    "num_labels": 19,
}


def variant(size: tuple[int, int]) -> str:
    """Return the name of the variant for an input of (H, W) pixels."""
    return f"{size[1]}x{size[0]}"


def _image(bundle: SemanticBundle) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (1, 3, *bundle.input_size)).astype(np.float32)


def ours(bundles: Sequence[SemanticBundle]) -> tuple[Variants, dict]:
    """Make the variants of the best CPU runtime in float32, as the rivals compute."""
    runtimes = [open_runtime(bundle, precision="fp32") for bundle in bundles]
    variants = {
        variant(bundle.input_size): partial(runtime.networks[DENSE_NETWORK], {"image": _image(bundle)})
        for bundle, runtime in zip(bundles, runtimes, strict=True)
    }
    return variants, {"runtimes": runtimes[0].description}


def eager(bundles: Sequence[SemanticBundle]) -> tuple[Variants, dict]:
    """Make the variants of eager PyTorch with the same weights, as the paper's code runs it."""
    from evitsam_ros.models.efficientvit.build import create_network

    networks = [create_network(b.name, b.folder / CHECKPOINT, size=b.input_size) for b in bundles]
    return _of_torch(networks, bundles)


def segformer(bundles: Sequence[SemanticBundle]) -> tuple[Variants, dict]:
    """Make the variants of SegFormer-B1 in eager PyTorch."""
    from evitsam_ros.models.timm_backbone import import_torchvision

    import_torchvision()  # transformers imports it
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    network = SegformerForSemanticSegmentation(SegformerConfig(**SEGFORMER_B1)).eval()
    variants, facts = _of_torch([network] * len(bundles), bundles)
    params = sum(parameter.numel() for parameter in network.parameters())
    return variants, facts | {"params": params}


def _of_torch(networks: Sequence[Any], bundles: Sequence[SemanticBundle]) -> tuple[Variants, dict]:
    import torch

    def run(network: Any, image: Any) -> None:
        with torch.inference_mode():
            network(image)

    variants = {
        variant(bundle.input_size): partial(run, network, torch.from_numpy(_image(bundle)))
        for network, bundle in zip(networks, bundles, strict=True)
    }
    return variants, {"runtimes": f"torch {torch.__version__}, eager, {torch.get_num_threads()} threads"}


CONTENDERS = {"ours": ours, "eager": eager, "segformer": segformer}


def main(contender: str, *bundles: str) -> None:
    """Serve the variants of a contender."""
    answers = own_stdout()
    variants, facts = CONTENDERS[contender]([open_semantic(Path(bundle)) for bundle in bundles])
    serve(variants, answers, facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
