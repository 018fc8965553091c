# SPDX-License-Identifier: Apache-2.0
"""The desk camera over real DDS, and its sources."""

import itertools
import subprocess
import sys

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from evitsam_ros.io.sources import SourceError, open_source, wander

from .harness import Peer, Process, next_domain, pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images of one colour each, and a text that is no image."""
    path = tmp_path_factory.mktemp("frames")
    for index, value in enumerate((40, 120, 200)):
        cv2.imwrite(str(path / f"{index}.png"), np.full((60, 80, 3), value, np.uint8))
    (path / "notes.txt").write_text("not a picture")
    return path


def run(folder, log, kind, topic, **parameters) -> list:
    domain = next_domain()
    peer = Peer(domain)
    heard = peer.listen(kind, topic)
    process = Process("camera", domain, log, {"rate": 20.0, **parameters})
    try:
        assert peer.until(lambda: len(heard) >= 6, 300), process.output
    finally:
        code = process.stop()
        peer.close()
    assert code == 0, process.output
    return heard


def test_folder_is_published_in_order_with_stamps_and_frame_id(folder, tmp_path):
    heard = run(folder, tmp_path / "log", Image, "/image", source=folder, frame_id="desk", encoding="rgb8")
    values = [int(pixels(message)[0, 0, 0]) for message in heard]
    following = {40: 120, 120: 200, 200: 40}
    assert all(following[a] == b for a, b in itertools.pairwise(values)), values
    assert {(m.encoding, m.width, m.height, m.header.frame_id) for m in heard} == {("rgb8", 80, 60, "desk")}
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in heard]
    assert stamps == sorted(stamps) and stamps[0] > 1e9


def test_compressed_images_are_jpegs(folder, tmp_path):
    heard = run(
        folder, tmp_path / "log", CompressedImage, "/image/compressed", source=folder, compressed=True
    )
    decoded = cv2.imdecode(np.frombuffer(bytes(heard[0].data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (60, 80, 3) and heard[0].format == "jpeg"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"source": "/nowhere/at/all"}, "source '/nowhere/at/all' does not exist"),
        ({"source": "skimage:unicorn"}, "source 'skimage:unicorn' is not available"),
        ({"source": "example:unicorn"}, "example:unicorn does not exist; expected one of astronaut, coffee"),
        ({"width": -5}, "parameter width is -5; expected 0 to 16384"),
        ({"jpeg_quality": 101}, "parameter jpeg_quality is 101; expected 0 to 100"),
        ({"rate": 0.0}, "parameter rate is 0.0; expected 0.01 to 1000.0"),
        ({"motion": ".nan"}, "parameter motion is nan; expected 0.0 to 1.0"),
        ({"reliability": "maybe"}, "parameter reliability is 'maybe'; expected best_effort, reliable"),
        ({"width": "wide"}, "width"),
        ({"encoding": "hsv"}, "parameter encoding is 'hsv'; expected bgr8, rgb8, mono8"),
    ],
)
def test_wrong_parameters_end_with_a_clear_line(tmp_path, parameters, text):
    process = Process("camera", 98, tmp_path / "log", parameters)
    assert process.process.wait(timeout=900) == 2
    assert text in process.output and "Traceback" not in process.output


def test_video_plays_and_loops(tmp_path):
    path = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in (30, 220):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    means = [frame.mean() for frame in itertools.islice(open_source(path), 4)]
    np.testing.assert_allclose(means, [30, 220, 30, 220], atol=6)
    assert len(list(open_source(path, loop=False))) == 2


def test_the_default_source_needs_only_the_package(tmp_path):
    """Run without scikit-image, as on a robot."""
    code = (
        "import sys\n"
        "sys.modules['skimage'] = None\n"
        "from evitsam_ros.nodes.camera import PARAMETERS\n"
        "from evitsam_ros.io.sources import open_source\n"
        "frame = next(open_source(PARAMETERS['source'][0]))\n"
        "print(*frame.shape, frame.dtype, frame.std() > 30)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["512", "512", "3", "uint8", "True"], done.stderr


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="is a folder without images"):
        open_source(str(tmp_path))


def test_a_moving_view_moves_by_the_requested_share():
    image = np.zeros((100, 200, 3), np.uint8)
    image[50, 100] = 255
    moved = wander(image, 0.25, 0.1)
    row, col = np.unravel_index(moved[..., 0].argmax(), moved.shape[:2])
    assert (row, col) == (45, 120)
    assert wander(image, 0.25, 0.0) is image


def test_an_image_ends_unless_it_loops(tmp_path):
    path = tmp_path / "one.png"
    cv2.imwrite(str(path), np.full((4, 6, 3), 7, np.uint8))
    assert len(list(open_source(str(path), loop=False))) == 1
    assert len(list(open_source(str(path), loop=False, motion=0.1))) == 60
    assert len(list(itertools.islice(open_source(str(path)), 200))) == 200
