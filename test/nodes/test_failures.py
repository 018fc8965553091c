# SPDX-License-Identifier: Apache-2.0
"""What breaks while the node runs is reported, and what can be mended is."""

from types import SimpleNamespace

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import Image

from bench.known_bundle import write_known_bundle
from evitsam_ros.nodes import recovery as recovery_module
from evitsam_ros.nodes.diagnostics import HANGS, CameraDiagnostics
from evitsam_ros.nodes.frame_loss import FrameLossMonitor
from evitsam_ros.nodes.recovery import MAX_FAILURES, MAX_PAUSE, SUCCESS_VALID_FOR, Recovery

from .harness import pixels, set_parameter
from .prompting import detection, prompt

BRIGHT, BLACK = 90, 0


@pytest.fixture(scope="module")
def fragile(robots, tmp_path_factory):
    """A segmenter whose decoder raises on black images, on ONNX Runtime."""
    folder = tmp_path_factory.mktemp("engines") / "fragile"
    robot = robots(
        bundle=write_known_bundle(folder, fails_on_black=True), backend="onnxruntime", enable_tracking=False
    )
    robot.wait_state("active")
    robot.masks = robot.peer.listen(Image, robot.topic("mask"))
    prompt(robot, detection(60, 40, 50, 30))
    return robot


def send(robot, brightness: int) -> int:
    """The stamp of an image of one grey."""
    return robot.send_image(image=np.full((96, 128, 3), brightness, np.uint8)).header.stamp.sec


def works(robot) -> bool:
    return pixels(robot.answer(Image, "mask"))[40, 60] == 255


def test_a_failed_frame_is_reported_and_gets_no_mask(fragile):
    assert works(fragile)
    before = fragile.count("inference_errors")
    black = send(fragile, BLACK)
    assert fragile.peer.until(lambda: fragile.count("inference_errors") == before + 1)
    assert "indices element out of data bounds" in fragile.diagnostics["last_error"]
    assert works(fragile)
    assert black not in [mask.header.stamp.sec for mask in fragile.masks]


def test_networks_are_reopened_after_consecutive_failures(fragile):
    before, opened = fragile.count("inference_errors"), fragile.process.output.count("switched: ")
    black = []
    for _ in range(200):
        if fragile.count("inference_errors") >= before + MAX_FAILURES:
            break
        black.append(send(fragile, BLACK))
        fragile.peer.until(lambda: False, 0.1)
    assert fragile.peer.until(lambda: fragile.process.output.count("switched: ") > opened)
    assert fragile.count("frames_skipped_after_errors") > 0
    assert works(fragile)
    assert not set(black) & {mask.header.stamp.sec for mask in fragile.masks}


def test_networks_are_reopened_as_configured_for_any_current_parameter(fragile):
    """A typo in ``model`` takes effect at the next configuration, not when the networks are opened again."""
    assert set_parameter(fragile, "model", "no such model").successful
    before, opened = fragile.count("inference_errors"), fragile.process.output.count("switched: ")
    for _ in range(300):
        if fragile.process.output.count("switched: ") > opened:
            break
        send(fragile, BLACK)
        fragile.peer.until(lambda: False, 0.1)
    # The log is written at once; the diagnostics follow.
    assert fragile.peer.until(lambda: fragile.count("inference_errors") >= before + MAX_FAILURES, 300)
    assert "reopened: " not in fragile.process.output
    assert works(fragile)


def test_one_cameras_failures_do_not_mute_the_other(robots, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines") / "fragile"
    bundle = write_known_bundle(folder, fails_on_black=True)
    robot = robots(bundle=bundle, backend="onnxruntime", cameras="[bad, good]")
    robot.wait_state("active")

    def status(camera: str) -> dict[str, str]:
        name = f"/segmenter: segmentation {camera}"
        found = [entry for entry in robot.status[-1].status if entry.name == name]
        return {value.key: value.value for value in found[0].values} if found else {}

    masks = robot.peer.listen(Image, robot.topic("good/mask"))
    robot.peer.listen(Image, robot.topic("bad/mask"))
    for camera in ("bad", "good"):
        robot.peer.publish(robot.topic(f"{camera}/pixel"), Point(x=60.0, y=40.0))
        assert robot.peer.until(lambda camera=camera: status(camera).get("prompts_in") == "1", 300)
    sent = []
    for _ in range(2000):
        robot.send_image("/bad/image", np.full((96, 128, 3), BLACK, np.uint8))
        sent.append(robot.send_image("/good/image").header.stamp.sec)
        robot.peer.until(lambda: any(m.header.stamp.sec == sent[-1] for m in masks), 2.0)
        if int(status("bad").get("inference_errors", 0)) >= 2 * MAX_FAILURES and len(masks) > 10:
            break
    bad, good = status("bad"), status("good")
    assert int(bad["inference_errors"]) >= 2 * MAX_FAILURES and int(bad["frames_skipped_after_errors"]) > 0
    assert "inference_errors" not in good and "frames_skipped_after_errors" not in good
    assert int(good["frames_out"]) >= int(good["frames_in"]) - 1 - int(good["frames_dropped"])
    assert "switched: " not in robot.process.output, "the runtime works"


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The monotonic clock of the recovery, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(recovery_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_pauses_grow_and_end_with_a_success(clock):
    recovery, pauses = Recovery(), []
    for _ in range(8):
        recovery.failed()
        pauses.append(recovery.pause())
    assert pauses == pytest.approx([0, 0.2, 0.4, 0.8, 1.6, 3.2, MAX_PAUSE, MAX_PAUSE])
    clock[0] += MAX_PAUSE
    assert recovery.pause() == 0
    recovery.succeeded()
    recovery.failed()
    assert recovery.pause() == 0  # one bad frame costs nothing but itself


def test_a_runtime_is_given_up_after_failures_in_a_row():
    recovery = Recovery()
    assert [recovery.failed() for _ in range(2 * MAX_FAILURES)] == ([False] * (MAX_FAILURES - 1) + [True]) * 2


def test_one_cameras_failures_neither_pause_the_others_nor_give_up_a_runtime_that_works(clock):
    recovery = Recovery(2)
    recovery.succeeded(1)
    for _ in range(10 * MAX_FAILURES):
        clock[0] += SUCCESS_VALID_FOR / 2
        assert not recovery.failed(0) and not recovery.pause(1)
        recovery.succeeded(1)
    assert recovery.pause(0)
    assert recovery.failed(1), "nobody's frames succeed any more"
    recovery.succeeded(1)
    assert not any(recovery.failed(0) for _ in range(MAX_FAILURES))
    clock[0] += SUCCESS_VALID_FOR  # the other camera sends nothing any more: its success is too old to count
    assert recovery.failed(0)


def test_who_failed_is_avoided_first_on_the_gpu_then_in_turns_on_the_cpu():
    recovery = Recovery()
    for used, avoided in (
        ({"tensorrt"}, {"tensorrt"}),
        ({"torch"}, {"tensorrt", "torch"}),
        ({"openvino", "onnxruntime"}, {"tensorrt", "torch", "openvino"}),
        ({"onnxruntime"}, {"tensorrt", "torch", "onnxruntime"}),
        ({"openvino"}, {"tensorrt", "torch", "openvino"}),
    ):
        recovery.exclude_runtime(frozenset(used))
        assert recovery.exclude == avoided


def test_an_incompatible_camera_qos_is_reported_with_the_remedy(robots):
    robot = robots(reliability="reliable")
    robot.wait_state("active")
    lossy = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    robot.peer.node.create_publisher(Image, "/image", lossy)
    assert robot.peer.until(lambda: robot.count("qos_mismatch") == 1, 150)
    error = robot.diagnostics["last_error"]
    assert "image: a publisher's RELIABILITY is less strict" in error
    assert "reliability to best_effort" in error and "ros2 topic info -v /image" in error


def test_the_advice_on_quality_of_service_names_a_parameter_only_where_it_helps(robots):
    robot = robots(reliability="reliable")
    robot.wait_state("active")
    lossy = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
    robot.peer.node.create_publisher(Point, robot.topic("pixel"), lossy)
    assert robot.peer.until(lambda: robot.count("qos_mismatch") == 1, 300)
    error = robot.diagnostics["last_error"]
    assert "~/pixel: a publisher's RELIABILITY is less strict" in error
    assert "change the publisher to reliable" in error and "parameter" not in error


def test_an_incompatible_subscriber_qos_is_reported(robots):
    robot = robots()
    robot.wait_state("active")
    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    robot.peer.node.create_subscription(Image, robot.topic("mask"), print, latched)
    assert robot.peer.until(lambda: robot.count("qos_mismatch") == 1, 150)
    assert "~/mask: a subscriber requires a stricter DURABILITY" in robot.diagnostics["last_error"]


def test_late_masks_are_reported_and_still_published(robots):
    robot = robots(max_latency_s=5.0)
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    assert works(robot)  # stamps of 1970: decades too late
    assert robot.peer.until(lambda: robot.count("outputs_older_than_max_age") > 0)
    status = robot.status[-1].status[0]
    assert status.level == DiagnosticStatus.WARN
    assert status.message == "masks come later than max_latency_s after their images"
    assert set_parameter(robot, "cameras", "front").successful is False  # read at start alone


def test_the_heart_beats(robot):
    beats = int(robot.diagnostics["heartbeat"])
    assert robot.peer.until(lambda: int(robot.diagnostics["heartbeat"]) > beats + 2)


def test_an_inference_that_hangs_is_an_error():
    status = CameraDiagnostics().status("node", "cpu", 0, "active", busy=HANGS + 1)
    assert status.level == DiagnosticStatus.ERROR and "busy with one frame for 11 s" in status.message
    assert CameraDiagnostics().status("node", "cpu", 0, "active", busy=HANGS - 1).level == DiagnosticStatus.OK


@pytest.mark.parametrize(("lost", "expected"), [((), 0.0), ((2, 3, 7), 0.3), ((1, 2, 3, 5, 8), 0.5)])
def test_missing_frames_are_counted_by_the_gaps_of_their_stamps(lost, expected):
    monitor = FrameLossMonitor()
    for frame in range(120):
        if frame % 10 not in lost:
            monitor.add(frame / 30 + 0.002 * ((frame * 7) % 5 - 2))
    assert monitor.loss_ratio == pytest.approx(expected, abs=0.04)


def test_a_time_reset_loses_no_frames():
    monitor = FrameLossMonitor()
    for _ in range(3):
        for frame in range(40):
            monitor.add(frame / 30)
    assert monitor.loss_ratio == 0
