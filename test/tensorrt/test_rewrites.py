# SPDX-License-Identifier: Apache-2.0
"""Test scaled norms and keys: the same function in float32, and in range in float16."""

import numpy as np
import pytest
import torch
from onnx import ModelProto

from evitsam_ros.export import export_bundle
from evitsam_ros.models import create_model
from evitsam_ros.models.efficientvit.linear_attention import MultiScaleLinearAttention
from evitsam_ros.tensorrt.onnx_types import load_graph
from evitsam_ros.tensorrt.rewrites import rewrite
from evitsam_ros.tensorrt.rounding import emulate, run_as_written

from ..conftest import ROOT, lively


def run(model: ModelProto, image: np.ndarray) -> np.ndarray:
    return run_as_written(model).run(None, {"image": image})[0]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.fixture(scope="module")
def l0(tmp_path_factory) -> ModelProto:
    """Make an encoder whose attention and last norm leave float16's range, as with the official weights."""
    torch.manual_seed(0)
    model = lively(create_model("efficientvit_sam_l0"))
    with torch.no_grad():
        last = model.image_encoder.neck.output_ops[0].op_list[0].conv
        last.weight *= 600
        last.bias *= 600
        for module in model.modules():
            if isinstance(module, MultiScaleLinearAttention):
                module.qkv.conv.weight *= 8
                module.proj.conv.weight /= 8
    folder = export_bundle(model, tmp_path_factory.mktemp("l0") / "l0")
    return load_graph(folder / "encoder.onnx")


def test_attention_and_norm_without_islands(l0):
    image = np.random.default_rng(0).normal(size=(1, 3, 512, 512)).astype(np.float32)
    expected = run(l0, image)
    changed = rewrite(l0, {node.name: 5000.0 for node in l0.graph.node})
    np.testing.assert_allclose(run(changed, image), expected, atol=2e-3 * np.abs(expected).max())
    before, after = (run(emulate(model, "fp16", ()), image) for model in (l0, changed))
    lost = not np.isfinite(before).all() or cosine(before, expected) < 0.5
    assert lost, "if float16 gets it right without a rewrite, the test tests nothing"
    assert np.isfinite(after).all() and cosine(after, expected) > 0.99


def test_values_in_range_are_not_scaled():
    graph = load_graph(ROOT / "engines" / "lite_sam" / "encoder.onnx")
    changed = rewrite(graph, {node.name: 1.0 for node in graph.graph.node})
    assert [n.name for n in changed.graph.node] == [n.name for n in graph.graph.node]
