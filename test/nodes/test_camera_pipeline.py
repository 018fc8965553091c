# SPDX-License-Identifier: Apache-2.0
"""A pipeline is whole from its start to its end, and takes frames that were encoded before."""

import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from evitsam_ros.nodes.frame_request import PreparedFrame
from evitsam_ros.nodes.messages import image_message

from .harness import pixels
from .offline_pipeline import OfflinePipeline


def image(second: int):
    message = image_message(Header(), np.full((96, 128, 3), 90, np.uint8), "rgb8")
    message.header.stamp.sec = second
    return message


def prompted(bundle, **values) -> OfflinePipeline:
    """A pipeline with a stored click."""
    offline = OfflinePipeline(bundle, **values)
    offline.give("~/pixel", Point(x=60.0, y=40.0))
    return offline


@pytest.mark.parametrize("enable_depth", [True, False])
def test_no_part_of_a_pipeline_is_missing(known_bundle, enable_depth):
    pipeline = OfflinePipeline(known_bundle, enable_depth=enable_depth).pipeline
    before = dict(vars(pipeline))
    assert None not in before.values()
    pipeline.release()
    assert vars(pipeline) == before


def test_a_released_pipeline_is_silent_and_its_clicks_apply_to_the_next(known_bundle):
    offline = prompted(known_bundle)
    offline.give("image", image(1))
    _, request = offline.scheduler.take(0)
    released, outputs = offline.pipeline, offline.outputs
    released.release()
    offline.configure()
    assert not released.process(request), "a thread that hangs may still do this"
    assert not outputs["~/mask"].messages
    offline.give("image", image(2))
    offline.work()
    (mask,) = offline.outputs["~/mask"].messages
    assert mask.header.stamp.sec == 2 and pixels(mask)[40, 60] == 255


@pytest.mark.parametrize("mode", ["prompt", "everything"])
@pytest.mark.parametrize("enable_tracking", [True, False])
def test_a_frame_with_an_embedding_is_not_encoded_again(known_bundle, mode, enable_tracking):
    offline = prompted(known_bundle, mode=mode, enable_tracking=enable_tracking)
    calls, encode = [], offline.segmenter.runtime.networks["encoder"]
    offline.segmenter.runtime.networks["encoder"] = lambda inputs: calls.append(1) or encode(inputs)
    for second in (1, 2):
        offline.give("image", image(second))
        _, request = offline.scheduler.take(0)
        frame = offline.pipeline.prepare(request)
        prepared = PreparedFrame(frame)
        if second == 2:
            prepared = PreparedFrame(frame, *offline.segmenter.embed_batch([frame]))
        calls.clear()
        assert offline.pipeline.process(request, prepared), "the networks have run, for a batch too"
        assert len(calls) == (1 if second == 1 else 0)
    first, second = offline.outputs["~/label_map"].messages
    if mode == "everything" and enable_tracking:  # an object is published from its second frame on
        assert pixels(second, np.uint16).any()
    else:
        np.testing.assert_array_equal(pixels(first, np.uint16), pixels(second, np.uint16))
    values = {entry.key: entry.value for entry in offline.diagnostics.status("", "", 0, "", 0.0).values}
    assert float(values["latency_encode_ms"]) > 0
