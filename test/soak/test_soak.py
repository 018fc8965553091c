# SPDX-License-Identifier: Apache-2.0
"""A 30 Hz camera for a while, then everything that happens to robots: nothing piles up, nothing grows."""

import time

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from ..nodes.conftest import Process, pixels
from ..nodes.test_segmenter import detection, vision_msgs
from .conftest import SECONDS
from .usage import Usage, table

RATE = 30.0
#: Oldest answer that is no backlog, seconds: two frames in work on a busy machine.
MOST_AGE = 1.0
MOST_GROWTH = 0.02


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(history_s=1.0)
    made.wait_state("active")
    made.masks = made.peer.listen(Image, made.topic("mask"))
    return made


def camera(robot, folder, **parameters) -> Process:
    """The camera node, as a process of its own."""
    options = {"source": "skimage:astronaut", "rate": RATE, "motion": 0.02, "width": 320, **parameters}
    return Process("camera", robot.domain, folder / "camera.log", options)


def stamp(message) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def watch(robot, seconds: float) -> tuple[np.ndarray, list[Usage]]:
    """Ages of the masks when they come, in seconds, and what the node holds, once a second."""
    ages, usages, end = [], [], time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        robot.masks.clear()
        robot.peer.executor.spin_once(timeout_sec=0.02)
        ages += [time.time() - stamp(mask) for mask in robot.masks]
        if len(usages) <= seconds - (end - now):
            usages.append(Usage.of(robot.process.process.pid))
    return np.array(ages), usages


def answered_mask(robot, good, seconds: float = 15.0) -> Image | None:
    """The next mask that is ``good``."""
    found: list[Image] = []

    def come() -> bool:
        found.extend(mask for mask in robot.masks if good(mask))
        robot.masks.clear()
        return bool(found)

    robot.peer.until(come, seconds)
    return found[0] if found else None


def test_camera_for_a_while_dies_and_comes_back_as_another(robot, tmp_path):
    first = camera(robot, tmp_path)
    try:
        robot.peer.publish(robot.topic("pixel"), Point(x=160.0, y=100.0))
        assert answered_mask(robot, lambda mask: mask.width == 320 and pixels(mask).any()), (
            robot.process.output
        )
        watch(robot, SECONDS / 4)
        frames, prompts = robot.count("frames_out"), robot.count("prompts_answered")
        ages, usages = watch(robot, SECONDS)
        growth = usages[-1].memory / usages[0].memory - 1
        table(
            f"{RATE:.0f} Hz camera for {SECONDS:.0f} s, 320 x 320, tracked, one prompt",
            masks_heard=len(ages),
            frames_answered=robot.count("frames_out") - frames,
            prompts_answered=robot.count("prompts_answered") - prompts,
            dropped_for_a_newer_one=robot.count("frames_dropped"),
            age_ms=f"median {np.median(ages) * 1e3:.0f}, 99 % {np.quantile(ages, 0.99) * 1e3:.0f}, "
            f"worst {ages.max() * 1e3:.0f}",
            age_of_the_last_quarter_ms=f"{np.median(ages[-len(ages) // 4 :]) * 1e3:.0f}",
            begin=usages[0],
            end=usages[-1],
            growth=f"{growth:.2%}",
        )
        assert np.quantile(ages, 0.99) < MOST_AGE and growth < MOST_GROWTH
        assert robot.count("prompts_answered") - prompts > SECONDS
        assert usages[-1].threads <= usages[0].threads and usages[-1].files <= usages[0].files
        first.process.kill()
        first.process.wait()
        second = camera(robot, tmp_path, width=200, encoding="mono8")
        begin = time.monotonic()
        try:
            assert answered_mask(robot, lambda mask: mask.width == 200), robot.diagnostics
            ages, _ = watch(robot, 2.0)
            table(
                "the camera is killed and comes back with 200 x 200, mono8",
                answered_after_s=f"{time.monotonic() - begin - 2:.1f}",
                worst_age_ms=f"{ages.max() * 1e3:.0f}",
            )
            assert np.median(ages) < MOST_AGE
        finally:
            second.stop()
    finally:
        first.stop()


def send(robot, count: int, period: float = 0.03) -> list[int]:
    """Pictures in the rhythm of a camera; the seconds of their stamps."""
    stamps = []
    for _ in range(count):
        stamps.append(robot.send_image().header.stamp.sec)
        robot.peer.until(lambda: False, period)
    return stamps


def test_a_subscriber_that_does_not_listen_holds_nothing_up(robot):
    from ..nodes.conftest import Peer

    slow = Peer(robot.domain)
    slow.listen(Image, robot.topic("overlay"))  # reliable, and its executor never spins
    robot.peer.until(lambda: False, 1.0)
    send(robot, 30)  # the segment and the history of the writer are full
    before, start = robot.count("frames_out"), Usage.of(robot.process.process.pid)
    sent = send(robot, 60)
    assert answered_mask(robot, lambda mask: mask.header.stamp.sec == sent[-1])
    end = Usage.of(robot.process.process.pid)
    table(
        "a reliable subscriber that never takes anything, 60 frames at 30 Hz",
        answered=robot.count("frames_out") - before,
        begin=start,
        end=end,
    )
    slow.close()
    assert end.memory < start.memory * 1.05


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
    assert time.monotonic() - begin < 5


#: Changes of a storm.
PARAMETERS = 300
VALUES = {
    "mode": ("string_value", ParameterType.PARAMETER_STRING, ("prompt", "everything", "magic")),
    "top_n": ("integer_value", ParameterType.PARAMETER_INTEGER, (1, 64, 0, -5, 10**9)),
    "track": ("bool_value", ParameterType.PARAMETER_BOOL, (True, False)),
    "score_threshold": ("double_value", ParameterType.PARAMETER_DOUBLE, (-1.0, 0.5, float("nan"), 1e300)),
    "nms_threshold": ("double_value", ParameterType.PARAMETER_DOUBLE, (-1.0, 0.5, 0.0, 1.0)),
    "latency_budget_ms": (
        "double_value",
        ParameterType.PARAMETER_DOUBLE,
        (0.0, 1.0, 100.0, -1.0, float("inf")),
    ),
    "overlay_alpha": ("double_value", ParameterType.PARAMETER_DOUBLE, (0.0, 1.0, 0.5, float("nan"))),
    "max_rate_hz": ("double_value", ParameterType.PARAMETER_DOUBLE, (0.0, 1000.0, -1.0)),
    "model": ("string_value", ParameterType.PARAMETER_STRING, ("nowhere", "")),
    "depth": ("string_value", ParameterType.PARAMETER_STRING, ("yes",)),
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
            assert robot.peer.until(lambda: all(future.done() for future in futures[-8:]), 20), number
    assert robot.peer.until(lambda: all(future.done() for future in futures), 20)
    seconds = time.monotonic() - start
    good = {"mode": "prompt", "track": True, "max_rate_hz": 0.0}
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
    for second in (1000, 1001, 10, 11, -5, 2**31 - 1, 12):
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
