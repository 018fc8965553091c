# SPDX-License-Identifier: Apache-2.0
"""Test multiply-adds of graphs made by hand, and of the shipped networks against torch's count."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler import lower_bounds
from evitsam_ros.profiler.macs import Work, graph_work

from ..conftest import ROOT


def weights(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.full(shape, 0.5, np.float32), name)


def save(path, nodes, inputs, output, initializers=()):
    """Write a graph of float32 inputs by shape, with one output."""
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "made", values, [result], list(initializers))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), str(path))
    return path


def work(tmp_path, nodes, inputs, output, initializers=()):
    path = save(tmp_path / "graph.onnx", nodes, inputs, output, initializers)
    return graph_work(path, {name: np.ones(shape, np.float32) for name, shape in inputs.items()})


@pytest.mark.parametrize(
    ("operator", "attributes", "inputs", "initializers", "macs"),
    [
        # 8 x 8 places with padding, 5 filters over 3 channels of 3 x 3
        ("Conv", {"pads": [1] * 4}, {"x": [1, 3, 8, 8]}, [(5, 3, 3, 3)], 8 * 8 * 5 * 3 * 9),
        ("Conv", {"strides": [2, 2], "pads": [1] * 4}, {"x": [2, 3, 8, 8]}, [(5, 3, 3, 3)], 2 * 16 * 5 * 27),
        # depthwise: every filter sees one channel
        ("Conv", {"group": 6, "pads": [1] * 4}, {"x": [1, 6, 8, 8]}, [(6, 1, 3, 3)], 64 * 6 * 9),
        # every input place feeds 2 x 2 outputs of 7 channels
        ("ConvTranspose", {"strides": [2, 2]}, {"x": [1, 4, 5, 5]}, [(4, 7, 2, 2)], 25 * 4 * 7 * 4),
        ("MatMul", {}, {"x": [2, 6, 10]}, [(10, 7)], 2 * 6 * 10 * 7),
        # broadcasting: eight heads share one matrix
        ("MatMul", {}, {"x": [3, 8, 4, 5], "y": [1, 8, 5, 6]}, [], 3 * 8 * 4 * 5 * 6),
        ("Gemm", {}, {"x": [6, 10]}, [(10, 7), (7,)], 6 * 10 * 7),
        ("Gemm", {"transA": 1, "transB": 1}, {"x": [10, 6]}, [(7, 10), (7,)], 6 * 10 * 7),
    ],
)
def test_macs_of_an_operator(tmp_path, operator, attributes, inputs, initializers, macs):
    constants = [weights(f"w{index}", *shape) for index, shape in enumerate(initializers)]
    names = [*inputs, *(constant.name for constant in constants)]
    node = helper.make_node(operator, names, ["out"], **attributes)
    assert work(tmp_path, [node], inputs, "out", constants).macs == macs


def test_bytes_are_inputs_weights_and_outputs_once(tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["out"])]
    found = work(tmp_path, nodes, {"x": [6, 10]}, "out", [weights("w", 10, 7)])
    assert found.bytes == 4 * (6 * 10 + 10 * 7 + 6 * 7)


def test_constant_subgraphs_are_not_counted(tmp_path):
    nodes = [helper.make_node("MatMul", ["a", "b"], ["ab"]), helper.make_node("MatMul", ["x", "ab"], ["out"])]
    found = work(tmp_path, nodes, {"x": [6, 10]}, "out", [weights("a", 10, 9), weights("b", 9, 7)])
    assert found.macs == 6 * 10 * 7


def test_an_uncounted_operator_is_named(tmp_path):
    node = helper.make_node("Einsum", ["x", "w"], ["out"], equation="ij,jk->ik")
    assert work(tmp_path, [node], {"x": [6, 10]}, "out", [weights("w", 10, 7)]).uncounted == ("Einsum",)


def as_torch_counts(module, *inputs) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2


def test_the_shipped_encoder_has_the_count_of_torch(random_lite_sam):
    import torch

    image = torch.zeros(1, 3, 640, 640)
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    found = graph_work(bundle.networks["encoder"], {"image": image.numpy()})
    assert found.macs == as_torch_counts(random_lite_sam.deploy().image_encoder, image)
    assert found.uncounted == ()


def test_the_shipped_decoder_has_the_count_of_torch(random_lite_sam):
    import torch

    from evitsam_ros.models.decoder_rewrites import DeployedDecoder

    decoder = DeployedDecoder(random_lite_sam.deploy(), "folded").eval()
    inputs = {
        "image_embeddings": torch.zeros(1, 256, 40, 40),
        "point_coords": torch.full((5, 2, 2), 100.0),
        "point_labels": torch.tensor([[2.0, 3.0]] * 5),
        "mask_input": torch.zeros(1, 1, 160, 160),
        "has_mask_input": torch.zeros(1),
    }
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    found = graph_work(bundle.networks["decoder"], {name: value.numpy() for name, value in inputs.items()})
    assert found.macs == pytest.approx(as_torch_counts(decoder, *inputs.values()), rel=0.01)


def test_the_lower_bound_is_the_longer_of_both_times():
    assert lower_bounds.lower_bound_ms(Work(2e9, 1e6), 1e10, 1e9) == pytest.approx(200)
    assert lower_bounds.lower_bound_ms(Work(2e9, 5e8), 1e10, 1e9) == pytest.approx(500)
    assert Work(1, 2, ("B",)) + Work(3, 4, ("A", "B")) == Work(4, 6, ("A", "B"))
