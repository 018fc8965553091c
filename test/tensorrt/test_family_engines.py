# SPDX-License-Identifier: Apache-2.0
"""Engines of the encoders of SAM's family, small: a ViT with SAM ViT-B's layers, and RepViT-SAM's."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from evitsam_ros.bundle import open_bundle
from evitsam_ros.export import export_bundle
from evitsam_ros.models import SPECS
from evitsam_ros.models.repvit import RepVitEncoder
from evitsam_ros.models.sam import Sam
from evitsam_ros.tensorrt.build import Options, Report, graphs_in_precision, plan
from evitsam_ros.tensorrt.engine_builder import build_engine
from evitsam_ros.tensorrt.onnx_types import element_types, load_graph
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.rounding import emulate, run_as_written
from evitsam_ros.tensorrt.validate import Proof

from ..conftest import lively
from ..models.small_vit import small_vit

#: Factor of the weights of queries, keys and values: scores leave float16's range.
LOUD = 400.0


def vit() -> Sam:
    """Windows and global attention, whose scores overflow in half precision."""
    encoder = lively(small_vit())
    with torch.no_grad():
        for block in encoder.blocks:
            block.attn.qkv.weight *= LOUD
            block.attn.proj.weight /= LOUD
    return Sam(SPECS["sam_vit_b"], encoder)


def repvit() -> Sam:
    spec = replace(SPECS["repvit_sam"].at(160), backbone="repvit_m1")
    return Sam(spec, lively(RepVitEncoder(spec.backbone, pyramid=False)))


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("family")
    return {made.__name__: export_bundle(made(), folder / made.__name__) for made in (vit, repvit)}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize(("name", "breaks"), [("vit", True), ("repvit", False)])
def test_an_encoder_is_parsed_gets_its_islands_and_is_built(rtx, bundles, photograph, name, breaks):
    bundle, options = open_bundle(bundles[name]), Options("fp16", "sm86")
    report = Report({}, Proof("fp16", 0, 0.0, 0.0))
    graph = graphs_in_precision(bundle, options, [photograph], report, networks=("encoder",))["encoder"]
    islands = report.islands["encoder"]
    broken = {error.name for error in report.errors["encoder"] if error.broken}
    assert broken <= islands and bool(broken) == breaks
    # What is no island stays in half precision: most of the products.
    converted = convert(graph, "fp16", islands)
    types = element_types(converted)
    products = [node for node in converted.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")]
    half = [node for node in products if types[node.output[0]] == onnx.TensorProto.FLOAT16]
    assert len(half) >= len(products) / 2
    side = bundle.image_size
    image = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    wanted, with_islands, without = (
        run_as_written(made).run(None, {"image": image})[0]
        for made in (
            load_graph(bundle.networks["encoder"]),
            emulate(graph, "fp16", islands),
            emulate(graph, "fp16", ()),
        )
    )
    assert np.isfinite(with_islands).all() and cosine(with_islands, wanted) > 0.99
    if breaks:
        assert not np.isfinite(without).all() or cosine(without, wanted) < 0.9
    encoder = next(p for p in plan(bundle, options, rtx, None) if p.network == "encoder")
    assert len(build_engine(rtx, converted, encoder, "sm86", lambda *_: None)) > 100_000
