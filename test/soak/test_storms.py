# SPDX-License-Identifier: Apache-2.0
"""Time that jumps, prompts and parameters by the hundred: the next frame is answered as asked."""

import time

import numpy as np
from geometry_msgs.msg import PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from ..nodes.harness import pixels
from ..nodes.prompting import detection, vision_msgs
from ..nodes.usage import table
from .frames import answered_mask, send


def test_time_jumps_back(robot):
    """A bag that starts again: frames with older stamps are answered, and prompts find them."""
    sent = send(robot, 10)
    robot.stamp = sent[0] - 51
    again = send(robot, 10)
    assert again[-1] < sent[0]
    assert answered_mask(robot, lambda mask: mask.header.stamp.sec == again[-1])
    click = PointStamped()
    click.header.stamp.sec, click.point.x, click.point.y = again[-2], 60.0, 40.0
    robot.peer.publish(robot.topic("point"), click)
    mask = answered_mask(
        robot, lambda mask: mask.header.stamp.sec == again[-2] and pixels(mask)[40, 60] == 255
    )
    assert mask is not None, robot.diagnostics
    robot.stamp = sent[-1] + 100


def test_a_thousand_prompts_in_a_second(robot):
    stamps = send(robot, 10)
    arrived = robot.count("prompts_in") + robot.count("bad_prompts")
    start = time.monotonic()
    for number in range(500):
        for header_stamp in (0, stamps[number % len(stamps)]):
            message = vision_msgs.Detection2DArray(detections=[detection(60, 40, 50, 30)])
            message.header.stamp.sec = header_stamp
            robot.peer.publish(robot.topic("prompts"), message)
        while time.monotonic() < start + number / 500:
            robot.peer.executor.spin_once(timeout_sec=0)
    seconds = time.monotonic() - start
    begin, last = time.monotonic(), send(robot, 1)[0]
    mask = answered_mask(robot, lambda mask: mask.header.stamp.sec == last)
    assert mask is not None and pixels(mask)[40, 60] == 255, robot.diagnostics
    table(
        f"1,000 detection arrays in {seconds:.1f} s, every second one stamped",
        arrived_through_a_queue_of_ten=robot.count("prompts_in") + robot.count("bad_prompts") - arrived,
        next_frame_answered_after_ms=f"{(time.monotonic() - begin) * 1e3:.0f}",
    )


#: Changes of a storm.
PARAMETERS = 300
VALUES = {
    "mode": ("string_value", ParameterType.PARAMETER_STRING, ("prompt", "everything", "magic")),
    "max_prompts": ("integer_value", ParameterType.PARAMETER_INTEGER, (1, 64, 0, -5, 10**9)),
    "enable_tracking": ("bool_value", ParameterType.PARAMETER_BOOL, (True, False)),
    "score_threshold": ("double_value", ParameterType.PARAMETER_DOUBLE, (-1.0, 0.5, float("nan"), 1e300)),
    "nms_threshold": ("double_value", ParameterType.PARAMETER_DOUBLE, (-1.0, 0.5, 0.0, 1.0)),
    "min_region": ("double_value", ParameterType.PARAMETER_DOUBLE, (-1.0, 0.01, 0.0, 1.0)),
    "latency_budget_ms": (
        "double_value",
        ParameterType.PARAMETER_DOUBLE,
        (0.0, 1.0, 100.0, -1.0, float("inf")),
    ),
    "overlay_alpha": ("double_value", ParameterType.PARAMETER_DOUBLE, (0.0, 1.0, 0.5, float("nan"))),
    "max_rate_hz": ("double_value", ParameterType.PARAMETER_DOUBLE, (0.0, 1000.0, -1.0)),
    "model": ("string_value", ParameterType.PARAMETER_STRING, ("nowhere", "")),
    "enable_depth": ("string_value", ParameterType.PARAMETER_STRING, ("yes",)),
}


def test_a_storm_of_parameters(robot):
    """Values of all kinds while frames come; the last good ones hold."""
    rng, client = (
        np.random.default_rng(3),
        robot.peer.node.create_client(SetParameters, robot.topic("set_parameters")),
    )
    assert client.wait_for_service(timeout_sec=15)
    robot.peer.listen(Image, robot.topic("overlay"))
    futures, start = [], time.monotonic()
    for number in range(PARAMETERS):
        name = list(VALUES)[int(rng.integers(len(VALUES)))]
        field, kind, values = VALUES[name]
        value = ParameterValue(**{"type": kind, field: values[int(rng.integers(len(values)))]})
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        futures.append(client.call_async(request))
        if number % 8 == 7:  # as many as a service's queue holds
            send(robot, 1, 0.01)
            assert robot.peer.until(lambda: all(future.done() for future in futures[-8:]), 200), number
    assert robot.peer.until(lambda: all(future.done() for future in futures), 200)
    seconds = time.monotonic() - start
    good = {"mode": "prompt", "enable_tracking": True, "max_rate_hz": 0.0}
    for name, value in good.items():
        field, kind, _ = VALUES[name]
        parameter = Parameter(name=name, value=ParameterValue(**{"type": kind, field: value}))
        future = client.call_async(SetParameters.Request(parameters=[parameter]))
        assert robot.peer.until(future.done) and future.result().results[0].successful
    taken = sum(future.result().results[0].successful for future in futures)
    table(f"{PARAMETERS} parameters in {seconds:.1f} s", taken=taken, refused=PARAMETERS - taken)
    assert 0 < taken < PARAMETERS
    last = send(robot, 3)[-1]
    assert answered_mask(robot, lambda mask: mask.header.stamp.sec == last), robot.diagnostics
    assert robot.count("inference_errors") == robot.count("callback_errors") == 0, robot.diagnostics


def test_simulated_time_that_stands_and_jumps_back(robots):
    robot = robots(use_sim_time=True)
    robot.wait_state("active")  # no /clock yet: the heart beats all the same
    robot.masks = robot.peer.listen(Image, robot.topic("mask"))
    robot.answer(Image, "mask")
    for second in (1000, 10, -5, 2**31 - 1, 12):
        clock = Clock()
        clock.clock.sec = second
        robot.peer.publish("/clock", clock)
        robot.stamp = second
        beats = robot.count("heartbeat")
        assert robot.peer.until(lambda beats=beats: robot.count("heartbeat") > beats + 1), (
            f"dead at {second} s"
        )
    robot.stamp = 11
    last = send(robot, 1)[0]
    assert answered_mask(robot, lambda mask: mask.header.stamp.sec == last), robot.diagnostics
    assert robot.process.process.poll() is None
    table(
        "simulated time", callback_errors=robot.count("callback_errors"), age_ms=robot.diagnostics["age_ms"]
    )
