# SPDX-License-Identifier: Apache-2.0
"""Frames through a pipeline without DDS: budgets, empty masks, parameters that change in the middle."""

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from evitsam_ros.nodes.messages import image_message

from .harness import pixels
from .offline_pipeline import OfflinePipeline
from .prompting import detection, vision_msgs


def image_at(second: int):
    message = image_message(Header(), np.full((128, 128, 3), 90, np.uint8), "rgb8")
    message.header.stamp.sec = second
    return message


def diagnostics(wired: OfflinePipeline) -> dict[str, str]:
    status = wired.diagnostics.status("node", "cpu", 0, "active", busy=0.0)
    return {entry.key: entry.value for entry in status.values}


@pytest.mark.parametrize(("waited", "left_out"), [(0.0, False), (3600.0, True)])
def test_a_latency_budget_includes_the_time_in_the_queue(known_bundle, waited, left_out):
    wired = OfflinePipeline(
        known_bundle,
        mode="everything",
        latency_budget_ms=60_000.0,
        min_prompts=1,  # the bundle proposes a few only
        enable_tracking=False,
    )
    for second in range(1, 5):
        wired.give("image", image_at(second))
        wired.work()
    wired.give("image", image_at(5))
    request = wired.scheduler.take(0)[1]
    wired.pipeline.process(replace(request, received=request.received - waited))
    assert (int(diagnostics(wired)["prompts_left_out"]) > 0) is left_out


@pytest.mark.parametrize("track", [True, False])
def test_an_empty_mask_is_no_detection(known_bundle, track):
    """A box between the centres of the low-res cells holds none of them."""
    wired = OfflinePipeline(known_bundle, enable_tracking=track)
    boxes = [detection(60, 40, 0.5, 0.5), detection(30, 30, 20, 20)]
    array = vision_msgs.Detection2DArray(detections=boxes)
    wired.give("~/prompts", array)
    wired.give("image", image_at(1))
    wired.work()
    found = wired.outputs["~/detections"].messages[-1].detections
    labels = pixels(wired.outputs["~/label_map"].messages[-1], np.uint16)
    assert [int(item.id) for item in found] == sorted(set(np.unique(labels)) - {0}) and labels[30, 30]
    assert len(found) == 1 and all(item.bbox.size_x > 0 for item in found)


@pytest.mark.parametrize("track", [True, False])
def test_closer_looks_are_a_stage_of_their_own_within_the_latency_budget(known_bundle, track):
    wired = OfflinePipeline(known_bundle, enable_tracking=track, closer_looks=2)
    boxes = [detection(60, 40, 24, 24), detection(30, 30, 20, 20), detection(90, 90, 22, 22)]
    wired.give("~/prompts", vision_msgs.Detection2DArray(detections=boxes))
    wired.give("image", image_at(1))
    wired.work()
    labels = pixels(wired.outputs["~/label_map"].messages[-1], np.uint16)
    assert len(set(np.unique(labels))) == 4 and float(diagnostics(wired)["latency_closer_ms"]) > 0
    assert diagnostics(wired)["closer_looks_left_out"] == "0"
    wired.set_parameter("latency_budget_ms", 0.001)
    wired.give("~/prompts", vision_msgs.Detection2DArray(detections=boxes))
    wired.give("image", image_at(2))
    wired.work()
    assert diagnostics(wired)["closer_looks_left_out"] == "2"
    again = pixels(wired.outputs["~/label_map"].messages[-1], np.uint16)
    assert (again > 0).any()


@pytest.mark.parametrize("track", [True, False])
def test_track_that_changes_while_a_frame_is_in_work_counts_from_the_next(known_bundle, track):
    wired = OfflinePipeline(known_bundle, enable_tracking=track)
    wired.give("image", image_at(1))
    wired.work()
    array = vision_msgs.Detection2DArray(detections=[detection(60, 40, 20, 20)])
    array.header.stamp.sec = 1
    wired.give("~/prompts", array)
    segmenter = wired.segmenter
    embed = segmenter.embed

    def changing(frame):
        wired.set_parameter("enable_tracking", not track)
        return embed(frame)

    segmenter.embed = changing
    wired.work()
    segmenter.embed = embed
    assert pixels(wired.outputs["~/mask"].messages[-1])[40, 60] == 255
    wired.set_parameter("enable_tracking", track)
    wired.give("~/pixel", Point(x=20.0, y=80.0))
    wired.give("image", image_at(2))
    wired.work()
    assert bool(pixels(wired.outputs["~/mask"].messages[-1])[40, 60]) is track
