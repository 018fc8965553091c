# SPDX-License-Identifier: Apache-2.0
"""Whose frame is next: nothing queues, what is replaced is counted, cameras take turns."""

import gc
import threading
import time
import weakref
from types import SimpleNamespace

from evitsam_ros.nodes import frame_scheduler as scheduler_module
from evitsam_ros.nodes.frame_scheduler import MAX_PROMPTED_REQUESTS, FrameScheduler, InferenceThread


def test_newer_item_takes_the_place_of_an_older_one():
    turns = FrameScheduler()
    for item in range(5):
        turns.put(item)
    assert turns.take(0) == (0, 4)
    assert turns.dropped == [4]
    assert turns.take(0.01) is None


def test_next_waits_for_an_item_that_comes_after():
    turns = FrameScheduler(policy="next")
    turns.put("old")
    threading.Timer(0.1, turns.put, ["young"]).start()
    assert turns.take(2.0) == (0, "young")
    assert turns.dropped == [1]


def simulated(periods: list[float], offsets: list[float], work: float, seconds: float) -> list[list[float]]:
    """Ages of the frames of each camera at the beginning of their work, with the policy ``next``."""
    turns, ages = FrameScheduler(len(periods), "next"), [[] for _ in periods]
    due, free = list(offsets), 0.0
    turns.take(0)
    while min(due) < seconds:
        camera = due.index(min(due))
        now = due[camera]
        while free <= now and (turn := turns.take(0)) is not None:
            start = max(free, turn[1])
            ages[turn[0]].append(start - turn[1])
            free = start + work
        turns.put(now, camera)
        due[camera] += periods[camera]
        if free <= now and (turn := turns.take(0)) is not None:
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
    turns = FrameScheduler()
    threading.Timer(0.1, turns.close).start()
    start = time.monotonic()
    assert turns.take(10.0) is None
    assert time.monotonic() - start < 5


def test_cameras_take_turns_whatever_their_rates():
    turns, served = FrameScheduler(3), []
    for second in range(30):
        for _ in range(10):
            turns.put(f"fast {second}", 0)
        turns.put(f"slow {second}", 1)
        if second % 3 == 0:
            turns.put(f"rare {second}", 2)
        served.append(turns.take(0)[0])
    assert served.count(0) == served.count(1) == served.count(2) == 10


def test_what_was_asked_is_answered_in_its_order_and_before_the_newest():
    turns = FrameScheduler()
    turns.put("newest")
    assert turns.ask("first") and turns.ask("second")
    turns.put("newer")
    assert [turns.take(0)[1] for _ in range(3)] == ["first", "second", "newer"]


def test_withdrawn_frames_lose_their_turn_and_are_counted():
    turns = FrameScheduler(2)
    for item in range(5):
        turns.ask(item, 1)
    turns.put(6, 1)
    turns.put(6, 0)
    turns.withdraw(1, lambda item: item % 2 == 0)
    assert [turns.take(0) for _ in range(4)] == [(0, 6), (1, 1), (1, 3), None]
    assert turns.dropped == [0, 4]


def test_held_frames_wait_and_stop_no_other(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(scheduler_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    turns = FrameScheduler(2)
    turns.ask("held", 0)
    turns.hold(0, 5.0)
    turns.put("newest", 0)
    turns.ask("other", 1)
    assert [turns.take(0), turns.take(0), turns.take(0)] == [(0, "newest"), (1, "other"), None]
    clock[0] += 5.0
    assert turns.take(0) == (0, "held")


def test_a_worker_wakes_up_for_held_frames():
    turns = FrameScheduler()
    turns.ask("held")
    turns.hold(0, 0.2)
    assert turns.take(60.0) == (0, "held")


def test_too_many_questions_are_refused():
    turns = FrameScheduler()
    assert all(turns.ask(item) for item in range(MAX_PROMPTED_REQUESTS))
    assert not turns.ask("one more")


def test_slow_worker_sees_only_the_newest_and_survives_errors():
    seen, failures, gate = [], [], threading.Event()

    def work(camera: int, item: int) -> None:
        gate.wait(5)
        seen.append(item)
        if item == 9:
            raise RuntimeError("broken frame")

    worker = InferenceThread(
        FrameScheduler(), work, lambda camera, error: failures.append((camera, str(error)))
    )
    worker.turns.put(0)
    time.sleep(0.2)  # the worker has taken 0 and waits at the gate
    assert worker.busy_for > 0.1
    for item in range(1, 10):
        worker.turns.put(item)
    gate.set()
    time.sleep(0.2)
    assert worker.busy_for == 0
    worker.turns.put(10)
    time.sleep(0.2)
    worker.stop()
    assert seen == [0, 9, 10]
    assert failures == [(0, "broken frame")]
    assert worker.turns.dropped == [8]


def test_others_are_one_frame_of_each_other_camera_and_nobody_is_waited_for():
    turns = FrameScheduler(3)
    for camera in (0, 1, 1):
        turns.put(f"camera {camera}", camera)
    turns.ask("asked", 0)
    assert turns.take(0) == (0, "asked")
    assert turns.others(5) == [(1, "camera 1")]
    assert turns.take(0) == (0, "camera 0") and turns.others(5) == []


def test_work_in_common_comes_first_and_its_failure_stops_nobody():
    turns, done, failed = FrameScheduler(2), [], []

    def together(taken):
        done.append([camera for camera, _ in taken])
        raise ValueError("too much memory")

    turns.put("a", 0)
    turns.put("b", 1)
    worker = InferenceThread(
        turns, lambda *turn: done.append(turn), lambda *f: failed.append(f), together, most=lambda: 4
    )
    deadline = time.monotonic() + 5
    while len(done) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    worker.stop()
    assert done == [[0, 1], (0, "a"), (1, "b")] and str(failed[0][1]) == "too much memory"


def test_what_fails_after_the_end_is_not_reported():
    begun, gate, failures = threading.Event(), threading.Event(), []

    def work(camera: int, item: str) -> None:
        begun.set()
        gate.wait(60)
        raise RuntimeError("after the end")

    worker = InferenceThread(FrameScheduler(2), work, lambda *failure: failures.append(failure))
    worker.turns.put("long", 0)
    worker.turns.put("never", 1)
    assert begun.wait(60)
    assert not worker.stop(seconds=0.05), "it still works"
    gate.set()
    assert worker.stop(seconds=60) and failures == []


def test_a_worker_that_has_ended_lets_go_of_its_callbacks():
    class Owner:
        def __init__(self) -> None:
            self.worker = InferenceThread(FrameScheduler(), self.work, self.failed)

        def work(self, camera: int, item: object) -> None: ...

        def failed(self, camera: int, error: Exception) -> None: ...

    gc.collect()
    gc.disable()
    try:
        owner = Owner()
        known = weakref.ref(owner)
        assert owner.worker.stop(seconds=60)
        del owner
        assert known() is None
    finally:
        gc.enable()
