# SPDX-License-Identifier: Apache-2.0
"""Cameras and segmenter in one process: images do not go through DDS, answers and images do."""

import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from .harness import Peer, Process, next_domain, pixels


@pytest.fixture
def composed(tmp_path, known_bundle):
    """Starts ``compose`` with parameters; a peer on its domain."""
    made = []

    def start(flags: tuple[str, ...] = (), **parameters) -> tuple[Peer, Process]:
        domain = next_domain()
        defaults = {"segmenter:model": known_bundle, "segmenter:mode": "everything", "camera:rate": 20.0}
        process = Process("compose", domain, tmp_path / "log", {**defaults, **parameters}, flags=flags)
        made.append((Peer(domain), process))
        return made[-1]

    yield start
    codes = [process.stop() for _, process in made]
    for peer, _ in made:
        peer.close()
    assert all(code in (0, 2) for code in codes), [process.output for _, process in made]


def test_images_are_handed_over_and_not_sent(composed):
    peer, process = composed()
    labels = peer.listen(Image, "/segmenter/label_map")
    assert peer.until(lambda: len(labels) > 3, 400), process.output
    assert len(set(pixels(labels[-1], "u2").ravel().tolist())) == 3  # nothing, and two objects
    assert labels[-1].header.frame_id == "camera_optical_frame"
    assert not peer.node.get_subscriptions_info_by_topic("/image")
    images = peer.listen(Image, "/image")
    assert peer.until(lambda: len(images) > 1, 150)  # who wants them still gets them
    assert type(labels[-1].header) is Header and images[-1].width == labels[-1].width


def test_a_camera_in_every_namespace(composed):
    peer, process = composed(**{"segmenter:cameras": "[front, rear]"})
    for camera in ("front", "rear"):
        labels = peer.listen(Image, f"/segmenter/{camera}/label_map")
        assert peer.until(lambda labels=labels: len(labels) > 1, 400), process.output
        assert f"/{camera}/image" in dict(peer.node.get_topic_names_and_types())


def test_a_missing_source_ends_it_with_one_line(composed):
    _, process = composed(**{"camera:source": "/nowhere/film.mp4"})
    assert process.process.wait(timeout=40) == 2
    assert "/nowhere/film.mp4" in process.output and "Traceback" not in process.output


def test_a_semantic_node_receives_the_same_frames(composed, colour_classes):
    """Both nodes answer one frame, which is not sent: their answers have its stamp."""
    flags, model = ("--semantic",), {"semantic:model": colour_classes}
    peer, process = composed(flags, **model, **{"camera:rate": 4.0})
    masks = peer.listen(Image, "/segmenter/label_map")
    classes = peer.listen(Image, "/semantic/label_map")

    def common() -> set:
        stamps = [{(m.header.stamp.sec, m.header.stamp.nanosec) for m in heard} for heard in (masks, classes)]
        return stamps[0] & stamps[1]

    assert peer.until(lambda: len(common()) > 2, 400), process.output
    assert not peer.node.get_subscriptions_info_by_topic("/image")
    assert classes[-1].encoding == "mono8" and masks[-1].width == classes[-1].width


def test_the_semantic_node_without_a_segmenter(composed, colour_classes):
    peer, process = composed(("--semantic", "--no-segmenter"), **{"semantic:model": colour_classes})
    classes = peer.listen(Image, "/semantic/label_map")
    assert peer.until(lambda: len(classes) > 1, 400), process.output
    assert "segmenter" not in peer.node.get_node_names()


def test_a_profiler_beside_them(composed):
    peer, process = composed(flags=("--profiler",))
    assert peer.until(lambda: "/profiler" in [f"/{name}" for name in peer.node.get_node_names()], 400), (
        process.output
    )
    response = peer.call(Trigger, "/profiler/report", Trigger.Request())
    assert response.success and "from the image's stamp to its mask" in response.message
