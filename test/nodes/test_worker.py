# SPDX-License-Identifier: Apache-2.0
"""The newest-frame slot: nothing queues, what is replaced is counted."""

import threading
import time

from evitsam_ros.nodes.worker import NewestSlot, Worker


def test_newer_item_takes_the_place_of_an_older_one():
    slot = NewestSlot()
    for item in range(5):
        slot.put(item)
    assert slot.take(0) == 4
    assert slot.dropped == 4
    assert slot.take(0.01) is None


def test_next_waits_for_an_item_that_comes_after():
    slot = NewestSlot("next")
    slot.put("old")
    threading.Timer(0.1, slot.put, ["young"]).start()
    assert slot.take(2.0) == "young"
    assert slot.dropped == 1


def test_close_wakes_a_waiting_worker():
    slot = NewestSlot()
    threading.Timer(0.1, slot.close).start()
    start = time.monotonic()
    assert slot.take(10.0) is None
    assert time.monotonic() - start < 5


def test_slow_worker_sees_only_the_newest_and_survives_errors():
    seen, failures, gate = [], [], threading.Event()

    def work(item: int) -> None:
        gate.wait(5)
        seen.append(item)
        if item == 9:
            raise RuntimeError("broken frame")

    worker = Worker(work, failures.append, "latest")
    worker.slot.put(0)
    time.sleep(0.2)  # the worker has taken 0 and waits at the gate
    for item in range(1, 10):
        worker.slot.put(item)
    gate.set()
    time.sleep(0.2)
    worker.slot.put(10)
    time.sleep(0.2)
    worker.stop()
    assert seen == [0, 9, 10]
    assert [str(error) for error in failures] == ["broken frame"]
    assert worker.slot.dropped == 8
