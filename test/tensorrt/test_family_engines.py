# SPDX-License-Identifier: Apache-2.0
"""Engines of the encoders of SAM's family, small: a ViT with SAM ViT-B's layers, and RepViT-SAM's."""

import numpy as np
import onnx
import pytest
import torch

from evitsam_ros.export import DYNAMIC, write_network
from evitsam_ros.models.repvit import RepVitEncoder
from evitsam_ros.models.specs import SPECS
from evitsam_ros.segment.transform import preprocess
from evitsam_ros.tensorrt.build import NetworkPlan
from evitsam_ros.tensorrt.engine_builder import build_engine
from evitsam_ros.tensorrt.fp32_fallback import choose_islands
from evitsam_ros.tensorrt.onnx_types import element_types, load_graph
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.rounding import emulate, node_errors, run_as_written

from ..conftest import lively
from ..models.small_vit import small_vit

#: Factor of the weights of queries, keys and values: scores leave float16's range.
LOUD = 400.0


def vit():
    """Windows and global attention, whose scores overflow in half precision."""
    encoder = lively(small_vit())
    with torch.no_grad():
        for block in encoder.blocks:
            block.attn.qkv.weight *= LOUD
            block.attn.proj.weight /= LOUD
    return encoder


def repvit():
    return lively(RepVitEncoder("repvit_m1", pyramid=False))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize(
    ("make", "model", "side", "breaks"),
    [(vit, "sam_vit_b", 1024, True), (repvit, "repvit_sam", 160, False)],
    ids=["vit", "repvit"],
)
def test_an_encoder_is_parsed_gets_its_islands_and_is_built(
    rtx, tmp_path, photograph, make, model, side, breaks
):
    torch.manual_seed(0)
    path, image = tmp_path / "encoder.onnx", torch.zeros(1, 3, side, side)
    write_network(make().fold_(), (image,), ["image"], ["image_embeddings"], DYNAMIC["encoder"], path, "fp32")
    graph, spec = load_graph(path), SPECS[model]
    feed = {"image": preprocess(photograph, side, spec.mean, spec.std)}
    errors = node_errors(graph, "fp16", [feed])
    islands = choose_islands(graph, errors, "fp16")
    broken = {error.name for error in errors if error.broken}
    assert broken <= islands and bool(broken) == breaks
    # What is no island stays in half precision: most of the products.
    converted = convert(graph, "fp16", islands)
    types = element_types(converted)
    products = [node for node in converted.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    half = [node for node in products if types[node.output[0]] == onnx.TensorProto.FLOAT16]
    assert len(half) >= len(products) / 2
    wanted, found, without = (
        run_as_written(each).run(None, feed)[0]
        for each in (graph, emulate(graph, "fp16", islands), emulate(graph, "fp16", ()))
    )
    assert np.isfinite(found).all() and cosine(found, wanted) > 0.99
    if breaks:
        assert not np.isfinite(without).all() or cosine(without, wanted) < 0.9
    shape = (1, 3, side, side)
    network = NetworkPlan("encoder", path, ({"image": (shape, shape, shape)},), None)
    assert len(build_engine(rtx, converted, network, "sm86", lambda *_: None)) > 100_000
