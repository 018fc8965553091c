# SPDX-License-Identifier: Apache-2.0
"""A 30 Hz camera that dies and comes back, a subscriber that sleeps: nothing piles up, nothing grows."""

import time

import numpy as np
from geometry_msgs.msg import Point
from sensor_msgs.msg import Image

from ..nodes.harness import Peer, Process, pixels
from ..nodes.usage import Usage, table
from .frames import SECONDS, answered_mask, send, stamp

RATE = 30.0
#: Frames that came and are neither answered nor dropped: one in work, one in the slot, and one that comes
#: while the diagnostics are written.
MOST_WAITING = 3
MOST_GROWTH = 0.02
CAME, GONE = ("frames_in",), ("frames_out", "frames_dropped", "frames_without_listener")


def camera(robot, folder, **parameters) -> Process:
    """The camera node, as a process of its own."""
    options = {"source": "skimage:astronaut", "rate": RATE, "motion": 0.02, "width": 320, **parameters}
    return Process("camera", robot.domain, folder / "camera.log", options)


def waiting(robot) -> int:
    """Frames that are neither answered nor dropped, by all the diagnostics since the last call."""
    most = 0
    for message in robot.status:
        values = {entry.key: entry.value for entry in message.status[0].values}
        came, gone = (sum(int(values.get(k, 0)) for k in keys) for keys in (CAME, GONE))
        most = max(most, came - gone)
    del robot.status[:-1]
    return most


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


def test_a_camera_that_dies_and_restarts_as_another_is_served(robot, tmp_path):
    first = camera(robot, tmp_path)
    try:
        robot.peer.publish(robot.topic("pixel"), Point(x=160.0, y=100.0))
        assert answered_mask(robot, lambda mask: mask.width == 320 and pixels(mask).any()), (
            robot.process.output
        )
        _, warm = watch(robot, SECONDS / 4)
        frames, prompts, _ = robot.count("frames_out"), robot.count("prompts_answered"), waiting(robot)
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
            frames_waiting_at_most=(most := waiting(robot)),
            begin=usages[0],
            end=usages[-1],
            growth=f"{growth:.2%}",
        )
        assert most <= MOST_WAITING and growth < MOST_GROWTH
        # In a queue the frames of the end would be as old as the watch is long.
        assert np.median(ages[-len(ages) // 4 :]) < SECONDS / 4
        assert robot.count("prompts_answered") - prompts > 0
        assert not usages[-1].holds_more_than([*warm, usages[0]]), [str(usage) for usage in usages]
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
        finally:
            second.stop()
    finally:
        first.stop()


def test_a_subscriber_that_does_not_read_does_not_block(robot):

    slow = Peer(robot.domain)
    slow.listen(Image, robot.topic("overlay"))  # reliable, and its executor never spins
    robot.peer.until(lambda: False, 1.0)
    send(robot, 20)  # the segment and the history of the writer are full
    before, start = robot.count("frames_out"), Usage.of(robot.process.process.pid)
    sent = send(robot, 30)
    assert answered_mask(robot, lambda mask: mask.header.stamp.sec == sent[-1])
    end = Usage.of(robot.process.process.pid)
    table(
        "a reliable subscriber that never takes anything, 30 frames at 30 Hz",
        answered=robot.count("frames_out") - before,
        begin=start,
        end=end,
    )
    slow.close()
    assert end.memory < start.memory * 1.05
