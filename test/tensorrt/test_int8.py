# SPDX-License-Identifier: Apache-2.0
"""Quantised convolutions against whole numbers worked out by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from evitsam_ros.tensorrt.int8 import STEPS, calibrate, quantizable, quantize
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.rounding import run_as_written


@pytest.fixture
def network() -> onnx.ModelProto:
    """Two 1x1 convolutions of two channels; the first one stays float."""
    first = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    second = np.float32([[1.0, 0.5], [-0.25, 0.1]]).reshape(2, 2, 1, 1)
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["between"], name="a"),
        helper.make_node("Conv", ["between", "second"], ["y"], name="b"),
    ]
    value = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 4, 4]) for n in "xy"}
    tensors = [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")]
    body = helper.make_graph(nodes, "g", [value["x"]], [value["y"]], tensors)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_ranges_are_the_upper_quantiles_of_what_was_seen(network):
    x = np.random.default_rng(0).uniform(-3, 3, (1, 2, 4, 4)).astype(np.float32)
    x[0, 0, 0, 0] = 5.0
    assert [node.name for node in quantizable(network)] == ["b"]
    ranges = calibrate(network, [{"x": x / 2}, {"x": x}])
    magnitudes = np.sort(np.abs(x).ravel())
    assert ranges == {"between": pytest.approx(magnitudes[-2])}


def test_quantised_convolution_is_that_of_whole_numbers(network):
    x = np.random.default_rng(0).uniform(-2, 2, (1, 2, 4, 4)).astype(np.float32)
    changed = quantize(network, {"between": 1.5})
    found = run_as_written(changed).run(None, {"x": x})[0]
    scale = 1.5 / STEPS
    whole = np.clip(np.round(x / scale), -128, 127)
    weights = np.array([[1.0, 0.5], [-0.25, 0.1]])
    scales = np.abs(weights).max(1) / STEPS
    steps = np.round(weights / scales[:, None])
    wanted = np.einsum("oc,bchw->bohw", steps, whole) * scales[None, :, None, None] * scale
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_rest_of_a_quantised_network_becomes_half_precision(network):
    changed = convert(quantize(network, {"between": 1.5}), "fp16", set())
    kinds = {node.op_type for node in changed.graph.node}
    assert kinds == {"Cast", "Conv", "QuantizeLinear", "DequantizeLinear"}
    weights = next(t for t in changed.graph.initializer if t.name == "second.q8.int")
    assert weights.data_type == TensorProto.INT8
