# SPDX-License-Identifier: Apache-2.0
"""Test the precision pass on small graphs with known half-precision values."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from evitsam_ros.tensorrt.fp32_fallback import choose_islands
from evitsam_ros.tensorrt.onnx_types import element_types, load_graph
from evitsam_ros.tensorrt.precision import HALF, convert, is_arithmetic
from evitsam_ros.tensorrt.rounding import emulate, node_errors, run_as_written


def graph(nodes: list, shape: list[int], constants: dict[str, np.ndarray] | None = None) -> onnx.ModelProto:
    """Make a model from ``x`` to ``y`` of one shape; nodes are (operator, inputs, output)."""
    made = [helper.make_node(op, ins, [out], name=out, **more) for op, ins, out, more in nodes]
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"}
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    body = helper.make_graph(made, "g", [value["x"]], [value["y"]], tensors)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return run_as_written(model).run(None, {"x": x})[0]


CHAIN = [
    ("Mul", ["x", "x"], "square", {}),
    ("Sqrt", ["square"], "root", {}),
    ("Add", ["root", "one"], "y", {}),
]
ONE = {"one": np.float32([1.0])}


def casts(model: onnx.ModelProto) -> int:
    return sum(node.op_type == "Cast" for node in model.graph.node)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_every_node_outside_an_island_is_in_half_precision(precision):
    model = convert(graph(CHAIN, [4], ONE), precision, {"root"})
    types = element_types(model)
    for node in model.graph.node:
        if node.op_type != "Cast":
            kinds = {types[name] for name in (*node.input, *node.output)}
            assert kinds == {TensorProto.FLOAT if node.name == "root" else HALF[precision]}, node.name
    assert [value.type.tensor_type.elem_type for value in model.graph.output] == [TensorProto.FLOAT]


def test_an_island_of_neighbours_has_no_cast_inside():
    assert casts(convert(graph(CHAIN, [4], ONE), "fp16", {"square", "root"})) == 2  # to half, and to y
    assert casts(convert(graph(CHAIN, [4], ONE), "fp16", {"square", "root", "y"})) == 0
    assert casts(convert(graph(CHAIN, [4], ONE), "fp16", set())) == 2


def test_an_island_prevents_an_overflow():
    """300 squared exceeds 65504, the largest float16. (ONNX Runtime hides it in a converted graph.)"""
    x, model = np.float32([300.0, 1.0, 2.0, 3.0]), graph(CHAIN, [4], ONE)
    np.testing.assert_array_equal(run(emulate(model, "fp16", set()), x), [np.inf, 2, 3, 4])
    for form in (emulate, convert):
        np.testing.assert_array_equal(run(form(model, "fp16", {"square", "root"}), x), x + 1)


@pytest.mark.parametrize(("precision", "bits"), [("fp16", 10), ("bf16", 7)])
def test_emulation_rounds_as_the_format_does(precision, bits):
    model = graph([("Mul", ["x", "one"], "y", {})], [3], ONE)
    step = 2.0**-bits
    x = np.float32([1 + step, 1 + step / 4, 1 + 3 * step / 4])
    np.testing.assert_array_equal(
        run(emulate(model, precision, set()), x), np.float32([1 + step, 1, 1 + step])
    )
    np.testing.assert_array_equal(run(emulate(model, precision, {"y"}), x), x)


@pytest.mark.parametrize("islands", [set(), {"square"}, {"square", "root"}])
def test_emulation_and_the_converted_graph_agree(islands):
    model = graph(CHAIN, [64], ONE)
    x = np.random.default_rng(0).uniform(0.1, 200, 64).astype(np.float32)
    np.testing.assert_allclose(
        run(emulate(model, "fp16", islands), x), run(convert(model, "fp16", islands), x), rtol=1e-3
    )


def test_measuring_finds_broken_and_inexact_nodes():
    nodes = [
        ("Mul", ["x", "x"], "square", {}),
        ("Mul", ["square", "small"], "scaled", {}),
        ("Sin", ["x"], "wave", {}),
        ("Add", ["scaled", "wave"], "y", {}),
    ]
    model = graph(nodes, [4], {"small": np.float32([1e-4])})
    x = np.float32([300.3, 200.7, 100.1, 50.3])
    errors = {e.name: e for e in node_errors(model, "fp16", [{"x": x}])}
    assert errors["square"].broken == 1 and errors["square"].largest == pytest.approx(300.3**2)
    assert errors["scaled"].broken == 1  # what it reads cannot be rounded
    expected = np.sin(x.astype(np.float16).astype(np.float32)).astype(np.float16).astype(np.float32)
    difference = np.linalg.norm(expected - np.sin(x)) / np.linalg.norm(np.sin(x))
    assert errors["wave"].error == pytest.approx(difference, rel=1e-3)
    assert errors["y"].error < 1e-3
    assert choose_islands(model, errors.values(), "fp16") >= {"square", "scaled", "wave"}
    assert choose_islands(model, [], "fp16") == frozenset()


def test_a_bright_image_does_not_hide_the_error_of_a_dark_one():
    """Errors are relative to the image's own values: values below float16's range are lost entirely."""
    model = graph([("Mul", ["x", "one"], "y", {})], [4], ONE)
    dark, bright = np.float32([1e-8, 2e-8, 1e-8, 2e-8]), np.float32([1, 2, 3, 4])
    alone = node_errors(model, "fp16", [{"x": dark}])[0]
    rounded = dark.astype(np.float16).astype(np.float32)
    expected = np.linalg.norm(rounded - dark) / np.linalg.norm(dark)
    assert expected > 0.5 and alone.error == pytest.approx(expected, rel=1e-3)
    for order in ([dark, bright], [bright, dark]):
        (beside,) = node_errors(model, "fp16", [{"x": x} for x in order])
        assert beside.error == alone.error and beside.largest == 4
        assert choose_islands(model, [beside], "fp16") == {"y"}


@pytest.mark.parametrize("seed", range(4))
def test_errors_are_those_of_numpys_half_precision_at_any_size(seed):
    """Check a chain of operators on random shapes and scales, each by itself on exact inputs."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 40, rng.integers(1, 4)).tolist()
    scale = np.float32([10.0 ** rng.uniform(-3, 1)])
    x = (rng.uniform(0.1, 1, shape) * scale).astype(np.float32)
    model = graph(CHAIN, shape, {"one": scale})

    def half(value):
        return value.astype(np.float16).astype(np.float32)

    right = {"square": x * x, "root": np.sqrt(x * x), "y": np.sqrt(x * x) + scale}
    found = {
        "square": half(half(x) * half(x)),
        "root": half(np.sqrt(half(right["square"]))),
        "y": half(half(right["root"]) + half(scale)),
    }
    for error in node_errors(model, "fp16", [{"x": x}]):
        expected = np.linalg.norm(found[error.name] - right[error.name]) / np.linalg.norm(right[error.name])
        assert error.error == pytest.approx(expected, rel=0.02) and not error.broken


def test_an_island_grows_back_to_the_last_layer():
    weight = np.random.default_rng(0).standard_normal((80, 80)).astype(np.float32)
    nodes = [
        ("MatMul", ["x", "w"], "layer", {}),
        ("Mul", ["layer", "large"], "angle", {}),
        ("Add", ["angle", "large"], "moved", {}),
        ("Sin", ["moved"], "y", {}),
    ]
    model = graph(nodes, [1, 80], {"w": weight, "large": np.float32([40.0])})
    x = np.random.default_rng(1).standard_normal((1, 80)).astype(np.float32)
    islands = choose_islands(model, node_errors(model, "fp16", [{"x": x}]), "fp16")
    assert islands == {"angle", "moved", "y"}


def test_sizes_and_scales_keep_their_types():
    nodes = [("Resize", ["x", "", "scales"], "y", {"mode": "linear"})]
    model = graph(nodes, [1, 1, 4, 4], {"scales": np.float32([1, 1, 1, 1])})
    types = element_types(convert(model, "fp16", set()))
    assert types["scales"] == TensorProto.FLOAT
    with pytest.raises(ValueError, match="precision 'fp8' is unknown"):
        convert(model, "fp8", set())


def test_constants_are_found_however_they_are_stored(tmp_path):
    stored = numpy_helper.from_array(np.float16([0.5]), "half.fp16")
    nodes = [
        helper.make_node("Cast", ["half.fp16"], ["half"], to=TensorProto.FLOAT),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32([2.0]))),
        helper.make_node("Mul", ["half", "two"], ["one"], name="one"),
        helper.make_node("Mul", ["x", "one"], ["y"], name="y"),
    ]
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"}
    body = helper.make_graph(nodes, "g", [value["x"]], [value["y"]], [stored])
    onnx.save(
        helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "m"
    )
    model = load_graph(tmp_path / "m")
    assert [node.op_type for node in model.graph.node] == ["Mul", "Mul"]
    assert {t.name: t.data_type for t in model.graph.initializer} == {"half": 1, "two": 1}
    assert all(is_arithmetic(node, element_types(model)) for node in model.graph.node)
    (tmp_path / "bad").write_bytes(b"not a graph")
    with pytest.raises(ValueError, match="cannot be read as ONNX"):
        load_graph(tmp_path / "bad")
