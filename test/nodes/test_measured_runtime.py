# SPDX-License-Identifier: Apache-2.0
"""A node measures its CPU's backends beside its work, and takes the faster one between two frames."""

import pytest
from sensor_msgs.msg import Image

from evitsam_ros.backends import BACKENDS
from evitsam_ros.backends.choice import choice_path, read_choice
from evitsam_ros.bundle import open_bundle

from .harness import pixels
from .prompting import detection, prompt

#: Least IoU of masks before and after the change.
SAME = 0.95


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return an empty cache, which the nodes of this module share."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def bundle():
    return open_bundle("lite_sam")


def start(robots, bundle):
    robot = robots(bundle=bundle.folder, precision="auto", enable_tracking=False)
    robot.wait_state("active")
    robot.masks = robot.peer.listen(Image, robot.topic("mask"))
    prompt(robot, detection(250, 200, 320, 300))
    return robot


def overlap(a: Image, b: Image) -> float:
    one, other = pixels(a) > 0, pixels(b) > 0
    assert one.any() and other.any()
    return float((one & other).sum() / (one | other).sum())


def test_a_node_starts_in_float32_and_switches_to_the_measured_choice_between_frames(
    robots, bundle, cache, photograph
):
    robot = start(robots, bundle)
    first = robot.answer(Image, "mask", image=photograph)
    assert "switched" not in robot.process.output and read_choice(bundle) is None

    def is_measured() -> bool:
        robot.send_image(image=photograph)
        robot.peer.until(lambda: False, 0.3)
        return "measured: " in robot.process.output

    for _ in range(1200):
        if is_measured():
            break
    choice = read_choice(bundle)
    assert choice is not None and 0 < choice.seconds <= 5.0, robot.process.output
    assert set(choice.networks) | set(choice.unsettled) == set(bundle.networks)
    faster = {name for name in choice.backends.values() if BACKENDS[name].precision != "fp32"}
    if faster:

        def is_switched() -> bool:
            robot.send_image(image=photograph)
            return "switched: " in robot.process.output and "backend_choice" in robot.diagnostics

        assert robot.peer.until(is_switched, 300), robot.process.output
    last = robot.answer(Image, "mask", image=photograph)
    assert overlap(first, last) >= SAME
    # Every mask is the whole mask of its frame, whichever runtime drew it. An empty one says that no image
    # was answered for a while (output_timeout_s), and repeats the stamp of the last.
    drawn = [mask for mask in robot.masks if pixels(mask).any()]
    assert min(overlap(first, mask) for mask in drawn) >= SAME
    stamps = [mask.header.stamp.sec for mask in drawn]
    assert stamps == sorted(set(stamps)) and len(stamps) > 2
    assert "inference_errors" not in robot.diagnostics and not robot.diagnostics["last_error"]


def test_the_next_node_starts_with_the_measured_choice(robots, bundle, cache, photograph):
    choice = read_choice(bundle)
    assert choice is not None and choice_path(bundle).is_relative_to(cache)
    robot = start(robots, bundle)
    robot.answer(Image, "mask", image=photograph)
    for network, backend in choice.backends.items():
        assert f"{network}: {backend} " in robot.diagnostics["backend"]
    if choice.backends:
        assert robot.diagnostics["backend_choice"] == str(choice)
    assert not choice.backends or str(choice) in robot.process.output
