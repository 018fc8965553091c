# SPDX-License-Identifier: Apache-2.0
"""The parameters as one value: decoded once, checked together, replaced when one changes."""

import dataclasses

import pytest
import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from evitsam_ros.nodes.parameter_specs import PARAMETERS, RENAMED
from evitsam_ros.nodes.parameters import NodeParameters, SegmenterParameters

DEFAULTS = {name: spec.default for name, spec in PARAMETERS.items()}


def decoded(**values) -> SegmenterParameters:
    return SegmenterParameters.from_values(DEFAULTS | values)


def test_values_that_mean_not_set_are_none():
    parameters = decoded()
    assert parameters.thresholds() == dict.fromkeys(
        ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "min_region")
    )
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
def nodes():
    """Return a factory of nodes that are given parameters at start."""
    context, made = rclpy.Context(), []
    rclpy.init(context=context, domain_id=0)

    def make(**values):
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        made.append(rclpy.create_node("parameters", context=context, parameter_overrides=overrides))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def node(nodes):
    return nodes()


def test_a_change_replaces_all_values_and_a_rejected_one_none(node):
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
    is_armed = []
    node.add_on_set_parameters_callback(
        lambda changed: SetParametersResult(successful=not is_armed, reason="no")
    )
    parameters = NodeParameters(node)
    is_armed.append(True)
    assert not node.set_parameters([Parameter("mode", value="everything")])[0].successful
    assert parameters.current.mode == "prompt"


#: Values by deprecated names, and what is set by them.
OLD = {
    "clicks_in_space": (True, "enable_3d_clicks", True),
    "depth": (True, "enable_depth", True),
    "max_age_s": (2.5, "max_latency_s", 2.5),
    "organised_points": (True, "organized_cloud", True),
    "top_n": (7, "max_prompts", 7),
    "track": (False, "enable_tracking", False),
    "unknown_stamp": ("nearest", "missing_image_policy", "nearest"),
}


def test_deprecated_names_given_at_start_set_the_new_ones(nodes, capfd):
    assert OLD.keys() == RENAMED.keys()
    node = nodes(**{old: value for old, (value, _, _) in OLD.items()})
    parameters = NodeParameters(node).current
    log = capfd.readouterr().err
    for old, (_, new, value) in OLD.items():
        assert node.get_parameter(new).value == value and not node.has_parameter(old)
        assert log.count(f"the parameter {old} is deprecated; use {new}") == 1
    assert parameters.enable_depth and parameters.organized_cloud and parameters.enable_3d_clicks
    assert parameters.max_prompts == 7 and not parameters.enable_tracking
    assert parameters.use_nearest_image and parameters.max_latency_s == 2.5


def test_a_new_name_wins_over_its_deprecated_one(nodes):
    assert NodeParameters(nodes(top_n=7, max_prompts=9)).current.max_prompts == 9


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"top_n": "many"}, "parameter top_n is 'many'; expected int"),
        ({"unknown_stamp": "magic"}, "missing_image_policy is 'magic'; expected one of reject, nearest"),
    ],
)
def test_unusable_values_by_deprecated_names_are_rejected(nodes, values, text):
    with pytest.raises(ValueError, match=text):
        NodeParameters(nodes(**values))


def test_deprecated_names_at_run_time_set_the_new_ones_and_warn_once(node, capfd):
    parameters = NodeParameters(node)
    for value in (5, 6):
        (result,) = node.set_parameters([Parameter("top_n", value=value)])
        assert result.successful and parameters.current.max_prompts == value
    assert capfd.readouterr().err.count("the parameter top_n is deprecated; use max_prompts") == 1
    assert node.set_parameters_atomically([Parameter("unknown_stamp", value="nearest")]).successful
    assert parameters.current.use_nearest_image
    assert node.set_parameters_atomically([Parameter("unknown_stamp", value="refuse")]).successful
    assert not parameters.current.use_nearest_image
    (result,) = node.set_parameters([Parameter("top_n", value=0)])
    assert not result.successful and "max_prompts" in result.reason and parameters.current.max_prompts == 6


@pytest.mark.parametrize("name", [n for n, spec in PARAMETERS.items() if isinstance(spec.default, float)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_rejected(name, value):
    """NaN is neither below nor above the limits of rclpy's ranges."""
    with pytest.raises(ValueError, match=rf"{name} is {value}; expected a finite number"):
        decoded(**{name: value})
