# SPDX-License-Identifier: Apache-2.0
"""The live profiler over real DDS beside a real segmenter, against ages and losses that are known."""

import json
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from std_srvs.srv import Trigger

from evitsam_ros.profiler.live import GRACE, WINDOW, LiveLatency

from .harness import Process
from .prompting import detection, prompt


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    return tmp_path_factory.mktemp("report") / "live.json"


@pytest.fixture(scope="module")
def watched(robots, tmp_path_factory, report_file):
    """A segmenter that is running, and a profiler that comes later."""
    robot = robots(enable_tracking=False)
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    log = tmp_path_factory.mktemp("logs") / "profiler.log"
    options = {"period_s": 0.2, "report_file": report_file, "late_ms": 60000.0}
    profiler = Process("profiler", robot.domain, log, options)
    yield robot
    assert profiler.stop() == 0, profiler.output


#: Images of the test at most: two by each ``send_now``, any of which best effort may lose on its way to the
#: profiler, and a busy machine may drop for a newer one.
SENT = 400


def latency(robot) -> DiagnosticStatus | None:
    """What the profiler told last."""
    statuses = [s for m in robot.status for s in m.status if s.name == "/profiler: latency"]
    return statuses[-1] if statuses else None


def values(status: DiagnosticStatus) -> dict[str, float]:
    return {entry.key: float(entry.value) for entry in status.values}


def send_now(robot, late: float) -> None:
    """An image with a stamp that counts up, and one whose stamp lies ``late`` seconds back."""
    stamp = time.time() - late
    message = robot.send_image()
    message.header.stamp.sec, message.header.stamp.nanosec = int(stamp), int(stamp % 1 * 1e9)
    robot.peer.publish("/image", message)


def test_ages_masks_and_stages_of_a_running_node(watched):
    assert watched.peer.until(lambda: latency(watched) is not None, 200)
    assert latency(watched).level == DiagnosticStatus.STALE
    seen = lambda: values(latency(watched)).get("masks", 0) > 10  # noqa: E731
    for _ in range(SENT // 2):
        send_now(watched, late=7.0)
        if watched.peer.until(seen, 0.05):
            break
    assert watched.peer.until(seen, 100)
    response = watched.peer.call(Trigger, "/profiler/report", Trigger.Request())
    assert response.success and "age_p50_ms" in response.message and "latency_encode_ms" in response.message


def test_the_report_is_written(watched, report_file):
    camera = json.loads(report_file.read_text())["cameras"][""]
    assert 0 < camera["seen"]["images"] <= SENT and 10 < camera["seen"]["masks"] <= SENT
    assert float(camera["told"]["latency_total_ms"]) > 0
    assert "encoder: " in camera["told"]["backend"]


def test_percentiles_and_losses_are_those_of_the_ages_given():
    live = LiveLatency(late=0.05)
    ages = np.random.default_rng(4).uniform(0.01, 0.09, 400)
    for index, age in enumerate(ages):
        live.image(index, index / 20)
        if index % 4:
            live.mask(index, age, index / 20 + age)
    kept = np.delete(ages, np.arange(0, 400, 4))
    seen = live.summary()
    assert (seen["images"], seen["masks"]) == (400, 300)
    limit = 399 / 20 + ages[-1] - GRACE
    assert seen["images_without_mask"] == sum(index / 20 < limit for index in range(0, 400, 4))
    assert seen["late_masks"] == (kept > 0.05).sum()
    assert seen["age_p50_ms"] == pytest.approx(np.median(kept) * 1e3, abs=0.01)
    assert seen["age_max_ms"] == pytest.approx(kept.max() * 1e3, abs=0.01)
    assert seen["age_jitter_ms"] == pytest.approx(kept.std() * 1e3, abs=0.01)
    assert seen["rate_hz"] == pytest.approx(15, rel=0.02)


def test_masks_that_overtake_or_never_meet_their_image():
    live = LiveLatency(late=1.0)
    for index in range(40):
        live.mask(index, 0.1, index * 0.5)
        if index % 4:
            live.image(index, index * 0.5 + 0.1)
    seen = live.summary()
    assert (seen["images"], seen["masks"], seen["images_without_mask"]) == (30, 40, 0)
    assert seen["masks_without_image"] == sum(
        i % 4 == 0 and i * 0.5 < 39 * 0.5 + 0.1 - GRACE for i in range(40)
    )


def test_memory_is_bounded():
    live = LiveLatency(late=1.0)
    for index in range(5 * WINDOW):
        live.image(index, index * 0.1)
        live.mask(-index, 0.1, index * 0.1)
    assert len(live._ages) == WINDOW
    assert len(live._waiting) <= GRACE / 0.1 + 2 and len(live._early) <= GRACE / 0.1 + 2
