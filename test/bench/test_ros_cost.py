# SPDX-License-Identifier: Apache-2.0
"""Test the measurement of the ROS cost with nodes of known delay and losses."""

import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from bench.ros import round_trips as measuring  # noqa: E402
from bench.ros.camera import SEGMENTER, STAND_IN, Options  # noqa: E402
from bench.ros.cost import LOWER_BOUND, add_figures, round_trips  # noqa: E402
from evitsam_ros.nodes.messages import image_message, label_map_message  # noqa: E402
from evitsam_ros.nodes.qos import results  # noqa: E402

pytestmark = pytest.mark.ros
DELAY_MS = 200.0


@pytest.mark.parametrize("compressed", [False, True])
def test_a_known_delay_is_measured(domain, compressed):
    """Check the quickest trip only: other work on the machine makes others longer."""
    options = Options("VGA", 8, compressed, segmenter=False, delay_ms=DELAY_MS)
    found = round_trips(options)[STAND_IN]["ms"]
    answered = [ms for ms in found if ms is not None]
    assert len(found) == 8 and len(answered) >= 4
    assert DELAY_MS <= min(answered) < 2 * DELAY_MS


@pytest.mark.parametrize("one", [False, True])
def test_segmenter_and_lower_bound_alternate(domain, known_bundle, one):
    """The segmenter answers with an object, else the camera would not start, and reports its stages."""
    options = Options("VGA", 6, one=one, bundle=str(known_bundle))
    found = round_trips(options)
    part = measuring_part(options, found)
    figure, cost, lost = part.figures
    assert figure.key == f"ros/VGA/raw/{'one' if one else 'two'}" and figure.lower_bound_name == LOWER_BOUND
    assert len(figure.samples) == len(figure.lower_bound) and figure.details["sent"] == 6
    assert lost.value == pytest.approx(100 * figure.details["lost"] / 6)
    stages = found[SEGMENTER]["stages"]
    assert {"convert", "encode", "decode", "publish", "total"} <= set(stages) and "track" not in stages
    assert figure.samples and min(figure.samples) > 0
    assert cost.value == pytest.approx(
        figure.value - stages["preprocess"] - stages["encode"] - stages["decode"]
    )


def test_maps_at_the_networks_resolution_are_compared_with_maps_as_small(domain, known_bundle):
    options = Options("720p", 6, bundle=str(known_bundle), network_scale=True)
    part = measuring_part(options, round_trips(options))
    figures = {figure.key: figure for figure in part.figures}
    name = "ros/720p/raw/two/network"
    assert not part.ratios and set(figures) == {
        name,
        *(f"{name}: {x}" for x in ("cost", "above lower bound", "lost")),
    }
    pairs = zip(figures[f"{name}: cost"].samples, figures[name].lower_bound, strict=True)
    assert figures[f"{name}: above lower bound"].samples == [cost - bound for cost, bound in pairs]


def measuring_part(options, found):
    from evitsam_ros.profiler.measurements import Suite

    part = Suite()
    add_figures(part, options, found)
    return part


@pytest.fixture
def answering(domain, monkeypatch):
    """Return a camera in this process, and a function with which a node answers a frame."""
    monkeypatch.setattr(measuring, "TIMEOUT", 0.2)
    rclpy.init()
    node = rclpy.create_node("fake")
    labels = node.create_publisher(Image, "/fake/label_map", results())
    pixels = np.zeros((4, 6, 3), np.uint8)
    trips = measuring.RoundTrips(image_message(Header(), pixels, "bgr8"), (node,))
    yield trips, lambda m: labels.publish(label_map_message(m.header, np.zeros((4, 6), np.uint16)))
    trips.close()
    node.destroy_node()
    rclpy.try_shutdown()


def test_frames_without_a_mask_are_lost_in_their_places(answering):
    trips, answer = answering
    received = []

    def node(message) -> None:
        received.append(message.header.stamp)
        if len(received) % 3:
            answer(message)

    trips.add("fake", None, node, click=False)
    trips.ready(1, 1)
    received.clear()
    trips.measure(7)
    (target,) = trips.targets
    assert [ms is None for ms in target.times_ms] == [False, False, True] * 2 + [False]
    assert len({(stamp.sec, stamp.nanosec) for stamp in received}) == 7


def test_a_late_mask_counts_with_its_own_time(answering):
    trips, answer = answering

    def node(message) -> None:
        time.sleep(0.3)
        answer(message)

    trips.add("fake", None, node, click=False)
    trips.ready(1, 1)
    trips.measure(2)
    assert all(ms >= 300 for ms in trips.targets[0].times_ms)


def test_a_node_that_never_answers_is_named(answering, monkeypatch):
    trips, _ = answering
    monkeypatch.setattr(measuring, "READY_TIMEOUT", 0.5)
    trips.add("fake", None, lambda message: None, click=False)
    with pytest.raises(TimeoutError, match="fake did not answer"):
        trips.ready(1, 1)
