# SPDX-License-Identifier: Apache-2.0
"""The parameters as one value: decoded once, checked together, replaced when one changes."""

import dataclasses

import pytest
import rclpy
from rclpy.parameter import Parameter

from evitsam_ros.nodes.parameter_specs import PARAMETERS
from evitsam_ros.nodes.parameters import NodeParameters, SegmenterParameters

DEFAULTS = {name: spec.default for name, spec in PARAMETERS.items()}


def decoded(**values) -> SegmenterParameters:
    return SegmenterParameters.from_values(DEFAULTS | values)


def test_values_that_mean_not_set_are_none():
    parameters = decoded()
    assert parameters.thresholds() == dict.fromkeys(("score", "stability", "nms", "min_region"))
    assert parameters.latency_budget_s is parameters.max_latency_s is parameters.max_rate_hz is None
    assert parameters.intensity_range is None and parameters.cameras == ("",)


def test_units_and_choices_are_decoded():
    parameters = decoded(
        latency_budget_ms=250.0,
        history_mb=2.0,
        score_threshold=0.0,
        min_region=0.25,
        cameras=["front", "", "rear"],
        intensity_range=[0.0, 5.0],
        max_rate_hz=12.5,
    )
    assert parameters.latency_budget_s == 0.25 and parameters.history_bytes == 2e6
    assert parameters.score_threshold == 0.0 and parameters.min_region == 0.25
    assert parameters.stability_threshold is None
    assert parameters.cameras == ("front", "rear") and parameters.intensity_range == (0.0, 5.0)
    assert parameters.max_rate_hz == 12.5


def test_they_cannot_be_written_to():
    with pytest.raises(dataclasses.FrozenInstanceError):
        decoded().mode = "everything"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"mode": "magic"}, "mode is 'magic'; expected one of prompt, everything"),
        ({"cameras": ["a", "a"]}, "expected different names"),
        ({"cameras": ["1st"]}, "expected letters, digits and _"),
        ({"intensity_range": [3.0, 1.0]}, "expected .black, white. with black < white"),
        ({"intensity_range": [float("nan"), 1.0]}, "expected .black, white. with black < white"),
    ],
)
def test_unusable_values_are_rejected_by_name(values, text):
    with pytest.raises(ValueError, match=text):
        decoded(**values)


@pytest.fixture
def node():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=0)
    made = rclpy.create_node("parameters", context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)


def test_a_change_replaces_the_whole_and_a_rejected_one_nothing(node):
    parameters = NodeParameters(node)
    before = parameters.current
    (result,) = node.set_parameters([Parameter("mode", value="everything")])
    assert result.successful and parameters.current == dataclasses.replace(before, mode="everything")
    assert before.mode == "prompt"
    last = parameters.current
    (result,) = node.set_parameters([Parameter("mode", value="magic")])
    assert not result.successful and "expected one of" in result.reason
    (result,) = node.set_parameters([Parameter("overlay_alpha", value=1.5)])
    assert not result.successful and parameters.current is last


def test_the_callback_of_another_can_reject_a_change(node):
    """Values of a set that another callback rejects never apply."""
    from rcl_interfaces.msg import SetParametersResult

    is_armed = []
    node.add_on_set_parameters_callback(
        lambda changed: SetParametersResult(successful=not is_armed, reason="no")
    )
    parameters = NodeParameters(node)
    is_armed.append(True)
    assert not node.set_parameters([Parameter("mode", value="everything")])[0].successful
    assert parameters.current.mode == "prompt"
