# SPDX-License-Identifier: Apache-2.0
"""Test that the damaged layer of a graph is found; ONNX Runtime runs the graph as the engine."""

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from evitsam_ros.bundle import open_bundle
from evitsam_ros.tensorrt.engine_validation import first_difference
from evitsam_ros.tensorrt.onnx_types import load_graph
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.rounding import run_as_written


@pytest.fixture
def graph(bundle_folder) -> ModelProto:
    return load_graph(open_bundle(bundle_folder).networks["proposals"])


@pytest.fixture
def feed() -> dict[str, np.ndarray]:
    values = np.random.default_rng(0).normal(size=(1, 256, 40, 40)).astype(np.float32)
    return {"image_embeddings": values}


def open_engine(model: ModelProto):
    session = run_as_written(model)
    return lambda inputs: session.run(None, inputs)


def damage(model: ModelProto, layer: int, factor: float) -> tuple[ModelProto, str]:
    """Copy a graph with half of the weights of its ``layer``-th convolution inverted; return its name too."""
    changed = ModelProto()
    changed.CopyFrom(model)
    node = [n for n in changed.graph.node if n.op_type == "Conv"][layer]
    weights = next(t for t in changed.graph.initializer if t.name == node.input[1])
    values = numpy_helper.to_array(weights).copy()
    values[::2] *= factor
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    return changed, node.name


@pytest.mark.parametrize("layer", [0, 2])
def test_the_damaged_layer_is_named(graph, feed, layer):
    broken, name = damage(graph, layer, -1.0)
    message = first_difference("proposals", graph, broken, feed, open_engine)
    assert message.startswith(f"the first layer to differ is {name} (Conv) of the proposals: cosine ")


def test_non_finite_values_are_counted(graph, feed):
    broken, name = damage(graph, 1, np.inf)
    message = first_difference("proposals", graph, broken, feed, open_engine)
    assert name in message and "values are not finite" in message


def test_half_precision_alone_passes(graph, feed):
    half = convert(graph, "fp16", ())
    assert first_difference("proposals", graph, half, feed, open_engine) == (
        "every layer of the proposals agrees"
    )


def test_the_layer_is_found_in_a_half_precision_graph_too(graph, feed):
    broken, name = damage(graph, 2, -1.0)
    message = first_difference("proposals", graph, convert(broken, "fp16", ()), feed, open_engine)
    assert f"differ is {name} (Conv)" in message
