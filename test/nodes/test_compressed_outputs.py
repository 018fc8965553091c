# SPDX-License-Identifier: Apache-2.0
"""Compressed outputs: read as image_transport reads them, made only on demand and in their own thread."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from evitsam_ros.io.encodings import compressed_to_frame
from evitsam_ros.nodes import compressed_outputs
from evitsam_ros.nodes.compressed_outputs import FORMATS, CompressedOutputs, encode

from .harness import pixels, set_parameter
from .offline_pipeline import OfflineEntities, OfflinePipeline
from .prompting import detection, prompt

NODE = SimpleNamespace(resolve_topic_name=lambda name: name.replace("~", "/segmenter"))
RNG = np.random.default_rng(3)


def smooth(height: int = 48, width: int = 64) -> np.ndarray:
    return cv2.resize(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), (width, height))


def as_plugin(data: np.ndarray) -> np.ndarray:
    """As image_transport's subscriber decodes: the file as it is."""
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def test_formats_are_image_transports_and_describe_the_files():
    """The encoding of the image; codec; the encoding in the file, if it was converted."""
    rgb, mask = smooth(), (smooth()[..., 0] > 128).astype(np.uint8) * 255
    labels = RNG.integers(0, 65536, (48, 64)).astype(np.uint16)
    assert FORMATS["overlay"] == "rgb8; jpeg compressed bgr8"
    found = as_plugin(encode("overlay", rgb, 95))
    assert np.abs(found[..., ::-1].astype(int) - rgb).max() <= 12, "bgr8 in the file"
    for name, image, form in (
        ("mask", mask, "mono8; png compressed "),
        ("label_map", labels, "mono16; png compressed "),
    ):
        assert FORMATS[name] == form
        found = as_plugin(encode(name, image, 1))
        assert found.dtype == image.dtype
        np.testing.assert_array_equal(found, image)


def test_jpeg_quality_decides_size_and_error():
    rgb = smooth(240, 320)
    few, many = (encode("overlay", rgb, quality) for quality in (20, 95))
    assert len(few) < len(many) / 2
    errors = [np.abs(as_plugin(data)[..., ::-1].astype(int) - rgb).mean() for data in (few, many)]
    assert errors[0] > errors[1]


@pytest.fixture
def outputs():
    entities, errors = OfflineEntities(), []
    made = CompressedOutputs(NODE, entities, "~/", lambda: 80, lambda kind, text: errors.append((kind, text)))
    yield made, entities.outputs, errors
    made.stop()


def test_the_newest_image_of_each_output_is_encoded_in_another_thread(outputs, monkeypatch):
    made, published, _ = outputs
    gate, started, threads = threading.Event(), threading.Event(), []

    def slow(output, image, quality):
        threads.append(threading.current_thread().name)
        started.set()
        assert gate.wait(60)
        return encode(output, image, quality)

    monkeypatch.setattr(compressed_outputs, "encode", slow)
    for value in range(5):  # the first is in work while the others come
        made.publish("mask", Header(frame_id=str(value)), np.full((8, 8), value, np.uint8))
        assert started.wait(60)
    made.publish("label_map", Header(frame_id="labels"), np.zeros((8, 8), np.uint16))
    assert not made.flush(0.0)
    gate.set()
    assert made.flush(60)
    masks = published["/segmenter/mask/compressed"].messages
    assert [message.header.frame_id for message in masks] == ["0", "4"]
    assert published["/segmenter/label_map/compressed"].messages[-1].header.frame_id == "labels"
    assert set(threads) == {"compression"}


def test_a_failed_encoding_is_an_error_and_the_next_image_is_published(outputs, monkeypatch):
    made, published, errors = outputs
    monkeypatch.setattr(compressed_outputs.rclpy, "ok", lambda: True)
    made.publish("mask", Header(), np.zeros((0, 8), np.uint8))
    assert made.flush(60)
    ((kind, text),) = errors
    assert kind == "compression_errors" and text.startswith("mask/compressed: ")
    made.publish("mask", Header(), np.zeros((8, 8), np.uint8))
    assert made.flush(60) and len(published["/segmenter/mask/compressed"].messages) == 1


def test_no_image_is_encoded_without_subscribers(known_bundle, monkeypatch):
    encoded = []
    monkeypatch.setattr(compressed_outputs, "encode", lambda name, *_: encoded.append(name))
    wired = OfflinePipeline(known_bundle)
    for topic, output in wired.outputs.items():
        monkeypatch.setattr(output, "get_subscription_count", lambda topic=topic: "compressed" not in topic)
    wired.give("image", Image(height=8, width=8, step=24, encoding="rgb8", data=bytes(192)))
    wired.work()
    assert wired.outputs["~/overlay"].messages
    wired.pipeline.release()
    assert not encoded


def test_over_dds_compressed_and_raw_hold_the_same(robot, clean):
    """Also where nobody listens to the raw topics."""
    prompt(robot, detection(64, 48, 40, 30))
    compressed = {
        name: robot.answer(CompressedImage, f"{name}/compressed") for name in ("label_map", "mask", "overlay")
    }
    raw = {name: robot.answer(Image, name) for name in compressed}
    assert {name: message.format for name, message in compressed.items()} == FORMATS
    decoded = {
        name: as_plugin(np.frombuffer(bytes(message.data), np.uint8)) for name, message in compressed.items()
    }
    assert decoded["mask"].any()
    np.testing.assert_array_equal(decoded["mask"], pixels(raw["mask"]))
    np.testing.assert_array_equal(decoded["label_map"], pixels(raw["label_map"], np.uint16))
    overlay = compressed_to_frame(compressed["overlay"]).image
    assert np.abs(overlay.astype(int) - pixels(raw["overlay"])).mean() < 6
    assert set_parameter(robot, "jpeg_quality", 5).successful
    coarse = robot.answer(CompressedImage, "overlay/compressed")
    assert len(coarse.data) < len(compressed["overlay"].data)
