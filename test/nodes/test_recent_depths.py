# SPDX-License-Identifier: Apache-2.0
"""Depth is there when its image's answer is, however long that takes; the pipeline is handed the messages."""

import array
import time

import numpy as np
import pytest
from geometry_msgs.msg import Point
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from evitsam_ros.nodes.messages import image_message
from evitsam_ros.nodes.recent_depths import RecentDepths

from ..geometry3d.depth_encoders import with_header
from .offline_pipeline import OfflinePipeline

WIDTH, HEIGHT = 160, 120


def stamped(seconds: float, size: int = 100) -> Image:
    message = Image(data=array.array("B", bytes(size)))
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(round(seconds * 1e9), 10**9)
    return message


def test_the_nearest_buffered_depth_is_returned():
    recent = RecentDepths(seconds=60.0)
    assert recent.nearest(0) is None
    kept = [stamped(10 + i / 30) for i in range(100)]
    for message in kept:
        recent.add(message)
    assert recent.nearest(round(11.01e9)) is kept[30]
    assert recent.nearest(0) is kept[0]


def test_bytes_and_age_are_bounded():
    recent = RecentDepths(seconds=60.0, max_bytes=1000)
    for second in range(50):
        recent.add(stamped(second))
    assert recent.nearest(0).header.stamp.sec == 40
    for second in range(50, 53):
        recent.add(stamped(second, 5000))
    assert recent.nearest(0).header.stamp.sec == 51  # the two newest stay, as large as they are
    recent = RecentDepths(seconds=0.0)
    for second in range(5):
        recent.add(stamped(second))
        time.sleep(0.001)
    assert recent.nearest(0).header.stamp.sec == 3


@pytest.mark.parametrize("before", [True, False])
def test_the_image_in_work_keeps_its_depth(before):
    """It may have come before the answer began, or a little later."""
    recent = RecentDepths(seconds=0.0)
    if before:
        recent.add(stamped(7.01))
    recent.expect(7_000_000_000)
    if not before:
        recent.add(stamped(7.01))
    for i in range(300):
        recent.add(stamped(7.2 + i / 30))
    assert recent.nearest(7_000_000_000).header.stamp.nanosec == 10_000_000
    recent.expect(17_000_000_000)
    assert abs(recent.nearest(7_000_000_000).header.stamp.sec - 17) <= 1


def test_of_equal_stamps_the_newest_counts():
    recent = RecentDepths(seconds=60.0)
    recent.expect(0)
    messages = [Image() for _ in range(3)]
    for message in messages:
        recent.add(message)
        recent.expect(0)
        assert recent.nearest(0) is message


def info(frame: str = "camera", **changes) -> CameraInfo:
    k = [100.0, 0.0, 79.5, 0.0, 100.0, 59.5, 0.0, 0.0, 1.0]
    fields = {"width": WIDTH, "height": HEIGHT, "k": k, "distortion_model": "plumb_bob", "d": [0.0] * 5}
    return CameraInfo(header=Header(frame_id=frame), **{**fields, **changes})


def image_of(stamp: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image:
    message = image_message(Header(frame_id="camera"), np.full((*size, 3), 90, np.uint8), "rgb8")
    message.header.stamp.sec = stamp
    return message


def wall(stamp: int, millimetres: int = 2000, frame: str = "camera") -> Image:
    values = np.full((HEIGHT, WIDTH), millimetres, np.uint16)
    message = image_message(Header(frame_id=frame), values, "16UC1")
    message.header.stamp.sec = stamp
    return message


def cloud(wired: OfflinePipeline) -> tuple[int, np.ndarray]:
    """Stamp and points ``(N, 3)`` of the newest cloud."""
    message = wired.outputs["~/points"].messages[-1]
    kind = {
        "names": list("xyz"),
        "formats": ["<f4"] * 3,
        "offsets": [0, 4, 8],
        "itemsize": message.point_step,
    }
    points = np.frombuffer(bytes(message.data), np.dtype(kind))
    assert message.is_dense and len(points) == message.width
    return message.header.stamp.sec, np.column_stack([points[name] for name in "xyz"])


@pytest.fixture
def wired(known_bundle):
    made = OfflinePipeline(
        known_bundle, enable_depth=True, enable_tracking=False, history_s=0.0, depth_slop_s=0.01
    )
    made.give("camera_info", info())
    made.give("~/pixel", Point(x=80.0, y=60.0))
    return made


def test_depth_is_held_during_inference_longer_than_the_buffer(wired):
    wired.give("depth", wall(5))
    wired.give("image", image_of(5))
    _, request = wired.scheduler.take(0)
    wired.pipeline.prepare(request)  # the answer begins
    for stamp in range(6, 60):
        wired.give("depth", wall(stamp, 5000))
        time.sleep(0.001)
    wired.pipeline.process(request)
    stamp, points = cloud(wired)
    assert stamp == 5 and len(points) > 20 and np.allclose(points[:, 2], 2.0)
    assert not wired.counts["no_depth"]


def test_points_without_depth_are_empty_and_reported(wired):
    """No depth, depth of another time, no calibration, another size, another frame that is not known."""
    for stamp, (depth, calibration, text) in enumerate(
        [
            (None, info(), "none has come yet"),
            (wall(900), info(), "s later; expected 0.01 s or less (depth_slop_s)"),
            (wall(12), info(width=80), "depth is (160, 120), image (160, 120), camera_info (80, 120)"),
            (wall(13, frame="other"), info(), "depth is in frame 'other', the image in 'camera'"),
        ],
        start=10,
    ):
        wired.give("camera_info", calibration)
        if depth is not None:
            wired.give("depth", depth)
        wired.give("image", image_of(stamp))
        wired.work()
        found, points = cloud(wired)
        assert found == stamp and not len(points)
        assert not wired.outputs["~/detections_3d"].messages[-1].detections
        assert wired.outputs["~/detections_3d"].messages[-1].header.stamp.sec == stamp
        assert text in wired.diagnostics.status("", "", 0, "", 0.0).message
    assert (wired.counts["no_depth"], wired.counts["bad_depth"]) == (2, 2)


def test_organised_points_are_as_many_as_pixels_without_depth_too(known_bundle):
    made = OfflinePipeline(known_bundle, enable_depth=True, organized_cloud=True)
    made.give("image", image_of(3))
    made.work()
    message = made.outputs["~/points"].messages[-1]
    assert (message.height, message.width, message.is_dense) == (HEIGHT, WIDTH, False)
    values = np.frombuffer(bytes(message.data), np.uint8).reshape(HEIGHT * WIDTH, -1)[:, :12].copy()
    assert np.isnan(values.view("<f4")).all()


@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_depth_that_is_compressed(known_bundle, codec):
    made = OfflinePipeline(
        known_bundle, enable_depth=True, depth_transport="compressedDepth", enable_tracking=False
    )
    made.give("camera_info", info())
    made.give("~/pixel", Point(x=80.0, y=60.0))
    data = with_header(np.full((HEIGHT, WIDTH), 2000, np.uint16), codec)
    depth = CompressedImage(format=f"16UC1; compressedDepth {codec}", data=array.array("B", data))
    depth.header.stamp.sec, depth.header.frame_id = 4, "camera"
    made.give("/depth/compressedDepth", depth)
    made.give("image", image_of(4))
    made.work()
    _, points = cloud(made)
    assert len(points) > 20 and np.allclose(points[:, 2], 2.0)
