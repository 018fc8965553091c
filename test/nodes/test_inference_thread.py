# SPDX-License-Identifier: Apache-2.0
"""The inference thread: it survives errors, prepares batches, and lets go of what it used."""

import gc
import threading
import time
import weakref

from evitsam_ros.nodes.frame_scheduler import FrameScheduler
from evitsam_ros.nodes.inference_thread import InferenceThread


def test_a_slow_worker_processes_only_the_newest_and_continues_after_errors():
    seen, failures, gate = [], [], threading.Event()

    def work(camera: int, item: int, prepared: object) -> None:
        gate.wait(5)
        seen.append(item)
        if item == 9:
            raise RuntimeError("broken frame")

    thread = InferenceThread(
        FrameScheduler(), work, lambda camera, error: failures.append((camera, str(error)))
    )
    thread.scheduler.put_latest(0)
    time.sleep(0.2)  # the thread has taken 0 and waits at the gate
    assert thread.busy_for > 0.1
    for item in range(1, 10):
        thread.scheduler.put_latest(item)
    gate.set()
    time.sleep(0.2)
    assert thread.busy_for == 0
    thread.scheduler.put_latest(10)
    time.sleep(0.2)
    thread.stop()
    assert seen == [0, 9, 10]
    assert failures == [(0, "broken frame")]
    assert thread.scheduler.dropped == [8]


def until(done, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert done()


def started_with_two_frames(process, on_error, prepare_batch) -> InferenceThread:
    scheduler = FrameScheduler(2)
    scheduler.put_latest("a", 0)
    scheduler.put_latest("b", 1)
    return InferenceThread(scheduler, process, on_error, prepare_batch, max_batch_size=lambda: 4)


def test_each_frame_of_a_batch_gets_its_prepared_data():
    done: list = []

    def prepare(batch):
        done.append(batch)
        return [f"prepared {item}" if camera else None for camera, item in batch]

    thread = started_with_two_frames(lambda *call: done.append(call), lambda *error: None, prepare)
    until(lambda: len(done) == 3)
    thread.stop()
    assert done == [[(0, "a"), (1, "b")], (0, "a", None), (1, "b", "prepared b")]


def test_a_batch_that_cannot_be_prepared_is_reported_and_its_frames_are_processed():
    done: list = []
    failed: list = []

    def prepare(batch):
        raise ValueError("too much memory")

    thread = started_with_two_frames(
        lambda *call: done.append(call), lambda *error: failed.append(error), prepare
    )
    until(lambda: len(done) == 2)
    thread.stop()
    assert done == [(0, "a", None), (1, "b", None)]
    assert [(camera, str(error)) for camera, error in failed] == [(0, "too much memory")]


def test_failures_after_the_end_are_not_reported():
    begun, gate, failures = threading.Event(), threading.Event(), []

    def work(camera: int, item: str, prepared: object) -> None:
        begun.set()
        gate.wait(60)
        raise RuntimeError("after the end")

    thread = InferenceThread(FrameScheduler(2), work, lambda *failure: failures.append(failure))
    thread.scheduler.put_latest("long", 0)
    thread.scheduler.put_latest("never", 1)
    assert begun.wait(60)
    assert not thread.stop(seconds=0.05), "it still works"
    gate.set()
    assert thread.stop(seconds=60) and failures == []


def test_a_worker_that_has_ended_lets_go_of_its_callbacks():
    class Owner:
        def __init__(self) -> None:
            self.thread = InferenceThread(FrameScheduler(), self.work, self.failed)

        def work(self, camera: int, item: object, prepared: object) -> None: ...

        def failed(self, camera: int, error: Exception) -> None: ...

    gc.collect()
    gc.disable()
    try:
        owner = Owner()
        known = weakref.ref(owner)
        assert owner.thread.stop(seconds=60)
        del owner
        assert known() is None
    finally:
        gc.enable()
