# SPDX-License-Identifier: Apache-2.0
"""Test quantised convolutions against integers computed by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from evitsam_ros.tensorrt.build import NetworkPlan
from evitsam_ros.tensorrt.engine_builder import build_engine
from evitsam_ros.tensorrt.int8 import STEPS, calibrate, quantizable, quantize
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.rounding import run_as_written


@pytest.fixture
def network() -> onnx.ModelProto:
    """Make two 1x1 convolutions of two channels; the first one stays float."""
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


def test_ranges_are_upper_quantiles_of_the_inputs(network):
    x = np.random.default_rng(0).uniform(-3, 3, (1, 2, 4, 4)).astype(np.float32)
    x[0, 0, 0, 0] = 5.0
    assert [node.name for node in quantizable(network)] == ["b"]
    ranges = calibrate(network, [{"x": x / 2}, {"x": x}])
    magnitudes = np.sort(np.abs(x).ravel())
    assert ranges == {"between": pytest.approx(magnitudes[-2])}


def above_in_float16(values) -> np.ndarray:
    """Return the smallest float16 numbers that are not smaller, by a search of all of them."""
    numbers = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)
    return numbers[np.searchsorted(numbers, values)]


def test_a_quantised_convolution_equals_integer_arithmetic(network):
    x = np.random.default_rng(0).uniform(-2, 2, (1, 2, 4, 4)).astype(np.float32)
    changed = quantize(network, {"between": 1.5})
    found = run_as_written(changed).run(None, {"x": x})[0]
    scale = 1.5 / STEPS
    weights = np.array([[1.0, 0.5], [-0.25, 0.1]])
    scale, scales = (above_in_float16(s) for s in (scale, np.abs(weights).max(1) / STEPS))
    complete = np.clip(np.round(x / scale), -128, 127)
    steps = np.round(weights / scales[:, None])
    expected = np.einsum("oc,bchw->bohw", steps, complete) * scales[None, :, None, None] * scale
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_small_channels_keep_a_positive_scale_and_their_values_in_half_precision(network):
    """Check channels of zeros, of float16's subnormal numbers, and of others, to the steps of their scale."""
    sizes = [0.0, 1e-9, 1e-6, 3.8e-6, 1e-5, 1e-3, 1.0, 300.0]
    weights = np.float32([[size, -size / 2] for size in sizes]).reshape(-1, 2, 1, 1)
    network.graph.initializer[1].CopyFrom(numpy_helper.from_array(weights, "second"))
    network.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(sizes)
    changed = convert(quantize(network, {"between": 2.0}), "fp16", set())
    constants = {t.name: numpy_helper.to_array(t) for t in changed.graph.initializer}
    scales = [v for name, v in constants.items() if ".scale" in name]
    assert all((v == v.astype(np.float16)).all() and (v.astype(np.float16) > 0).all() for v in scales)
    stored = constants["second.q8.int"].astype(np.float64)
    of_channel = constants["second.q8.scale.half"].astype(np.float64)
    kept = stored * of_channel.reshape(-1, 1, 1, 1)
    assert (np.abs(kept - weights) <= of_channel.reshape(-1, 1, 1, 1) * 0.5001).all()
    largest = np.abs(weights).reshape(-1, 2).max(1)
    np.testing.assert_array_equal(of_channel, above_in_float16(largest / STEPS))


@pytest.mark.parametrize("reach", [0.0, 1e-9, 1e-6, 1e-3, 1.0])
def test_inputs_of_any_range_have_a_positive_scale_in_half_precision(network, reach):
    changed = convert(quantize(network, {"between": reach}), "fp16", set())
    scale = next(t for t in changed.graph.initializer if t.name.startswith("between.q8.scale"))
    assert numpy_helper.to_array(scale) >= max(reach / STEPS, 2**-24)


def test_the_builder_accepts_channels_near_zero(rtx, network, tmp_path):
    weights = np.float32([[1e-9, 0.0], [1.0, 0.5]]).reshape(2, 2, 1, 1)
    network.graph.initializer[1].CopyFrom(numpy_helper.from_array(weights, "second"))
    changed = convert(quantize(network, {"between": 1e-7}), "fp16", set())
    plan = NetworkPlan("encoder", tmp_path / "encoder.onnx", (), None)
    assert len(build_engine(rtx, changed, plan, "sm86", lambda *_: None)) > 1000


def test_rest_of_a_quantised_network_becomes_half_precision(network):
    changed = convert(quantize(network, {"between": 1.5}), "fp16", set())
    kinds = {node.op_type for node in changed.graph.node}
    assert kinds == {"Cast", "Conv", "QuantizeLinear", "DequantizeLinear"}
    weights = next(t for t in changed.graph.initializer if t.name == "second.q8.int")
    assert weights.data_type == TensorProto.INT8
