# SPDX-License-Identifier: Apache-2.0
"""Whose frame is next: nothing queues, what is replaced is counted, cameras take turns."""

import threading
import time
from types import SimpleNamespace

from evitsam_ros.nodes import frame_scheduler as scheduler_module
from evitsam_ros.nodes.frame_scheduler import MAX_PROMPTED_REQUESTS, FrameScheduler


def test_a_newer_item_replaces_an_older_one():
    scheduler = FrameScheduler()
    for item in range(5):
        scheduler.put_latest(item)
    assert scheduler.take(0) == (0, 4)
    assert scheduler.dropped == [4]
    assert scheduler.take(0.01) is None


def test_next_waits_for_a_newer_item():
    scheduler = FrameScheduler(policy="next")
    scheduler.put_latest("old")
    threading.Timer(0.1, scheduler.put_latest, ["young"]).start()
    assert scheduler.take(2.0) == (0, "young")
    assert scheduler.dropped == [1]


def simulated(periods: list[float], offsets: list[float], work: float, seconds: float) -> list[list[float]]:
    """Ages of the frames of each camera at the beginning of their work, with the policy ``next``."""
    scheduler, ages = FrameScheduler(len(periods), "next"), [[] for _ in periods]
    due, free = list(offsets), 0.0
    scheduler.take(0)
    while min(due) < seconds:
        camera = due.index(min(due))
        now = due[camera]
        while free <= now and (turn := scheduler.take(0)) is not None:
            start = max(free, turn[1])
            ages[turn[0]].append(start - turn[1])
            free = start + work
        scheduler.put_latest(now, camera)
        due[camera] += periods[camera]
        if free <= now and (turn := scheduler.take(0)) is not None:
            ages[turn[0]].append(now - turn[1])
            free = now + work
    return ages


def test_next_answers_every_camera():
    """Two cameras of 30 Hz, 2 ms apart, and one of 1 Hz beside one of 30 Hz."""
    both = simulated([1 / 30, 1 / 30], [0.0, 0.002], work=0.01, seconds=4)
    assert all(119 <= len(ages) <= 121 for ages in both)
    fast, slow = simulated([1 / 30, 1.0], [0.0, 0.4], work=0.02, seconds=12)
    assert len(slow) == 12 and len(fast) > 300


def test_next_starts_from_young_frames_when_the_network_is_slow():
    for cameras in (1, 2):
        ages = simulated([1 / 30] * cameras, [0.0, 0.002][:cameras], work=0.1, seconds=10)
        assert all(len(of_camera) >= 60 / cameras for of_camera in ages)
        assert max(map(max, ages)) <= 1 / 30 + 1e-6


def test_close_wakes_a_waiting_worker():
    scheduler = FrameScheduler()
    threading.Timer(0.1, scheduler.close).start()
    start = time.monotonic()
    assert scheduler.take(10.0) is None
    assert time.monotonic() - start < 5


def test_cameras_alternate_at_any_rates():
    scheduler, served = FrameScheduler(3), []
    for second in range(30):
        for _ in range(10):
            scheduler.put_latest(f"fast {second}", 0)
        scheduler.put_latest(f"slow {second}", 1)
        if second % 3 == 0:
            scheduler.put_latest(f"rare {second}", 2)
        served.append(scheduler.take(0)[0])
    assert served.count(0) == served.count(1) == served.count(2) == 10


def test_requests_are_processed_in_order_and_before_the_newest_frame():
    scheduler = FrameScheduler()
    scheduler.put_latest("newest")
    assert scheduler.submit_request("first") and scheduler.submit_request("second")
    scheduler.put_latest("newer")
    assert [scheduler.take(0)[1] for _ in range(3)] == ["first", "second", "newer"]


def test_withdrawn_frames_lose_their_turn_and_are_counted():
    scheduler = FrameScheduler(2)
    for item in range(5):
        scheduler.submit_request(item, 1)
    scheduler.put_latest(6, 1)
    scheduler.put_latest(6, 0)
    scheduler.withdraw(1, lambda item: item % 2 == 0)
    assert [scheduler.take(0) for _ in range(4)] == [(0, 6), (1, 1), (1, 3), None]
    assert scheduler.dropped == [0, 4]


def test_held_frames_wait_and_stop_no_other(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(scheduler_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    scheduler = FrameScheduler(2)
    scheduler.submit_request("held", 0)
    scheduler.hold(0, 5.0)
    scheduler.put_latest("newest", 0)
    scheduler.submit_request("other", 1)
    assert [scheduler.take(0), scheduler.take(0), scheduler.take(0)] == [(0, "newest"), (1, "other"), None]
    clock[0] += 5.0
    assert scheduler.take(0) == (0, "held")


def test_a_worker_wakes_up_for_held_frames():
    scheduler = FrameScheduler()
    scheduler.submit_request("held")
    scheduler.hold(0, 0.2)
    assert scheduler.take(60.0) == (0, "held")


def test_too_many_questions_are_refused():
    scheduler = FrameScheduler()
    assert all(scheduler.submit_request(item) for item in range(MAX_PROMPTED_REQUESTS))
    assert not scheduler.submit_request("one more")


def test_a_batch_has_one_frame_of_each_other_camera_and_does_not_wait():
    scheduler = FrameScheduler(3)
    for camera in (0, 1, 1):
        scheduler.put_latest(f"camera {camera}", camera)
    scheduler.submit_request("asked", 0)
    assert scheduler.take(0) == (0, "asked")
    assert scheduler.take_batch(5) == [(1, "camera 1")]
    assert scheduler.take(0) == (0, "camera 0") and scheduler.take_batch(5) == []
