# SPDX-License-Identifier: Apache-2.0
"""Ten thousand malformed messages: refused by name or answered in the size they say, and counted by kind."""

import io
import warnings
from collections import Counter

import numpy as np
import pytest
from geometry_msgs.msg import Point
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from sensor_msgs.msg import Image

from evitsam_ros.geometry3d import CameraModel, DepthError, box_around, check_aligned, labelled_points, metres
from evitsam_ros.io.encodings import MAX_PIXELS, ImageError, compressed_to_frame, image_to_frame
from evitsam_ros.nodes.prompt_messages import MAX_OBJECTS, prompt_from_click, prompts_from_detections
from evitsam_ros.segment import PromptError

from . import malformed
from .offline_pipeline import OfflinePipeline
from .prompting import detection, vision_msgs
from .usage import forget_peak, peak_mb

#: Most memory that any message of the generator may cost, MB.
MOST_MB = 60.0


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20_260)


def run(name: str, count: int, once) -> Counter:
    """``once()`` gives "taken" or "refused", ``count`` times; the figures are printed."""
    forget_peak()
    before = peak_mb()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        seen = Counter(once() for _ in range(count))
    cost = peak_mb() - before
    print(
        f"{name}: {count} messages, {seen['taken']} taken, {seen['refused']} refused, {cost:.0f} MB at most"
    )
    assert min(seen["taken"], seen["refused"]) > count // 10 and seen.total() == count
    assert cost < MOST_MB
    return seen


def refusing(error: type, use, message, sound: bool) -> str:
    try:
        use(message)
    except error:
        assert not sound, f"a sound message is refused: {message}"
        return "refused"
    return "taken"


def test_images(rng):
    def use(message) -> None:
        frame = image_to_frame(message)
        assert frame.image.shape == (message.height, message.width, 3) and frame.image.dtype == np.uint8

    run("Image", 4000, lambda: refusing(ImageError, use, *malformed.image(rng)))


def test_compressed_images(rng):
    def use(message) -> None:
        image, data = compressed_to_frame(message).image, bytes(message.data)
        assert image.dtype == np.uint8 and image.shape[0] * image.shape[1] <= MAX_PIXELS
        try:
            assert image.shape == (*Pillow.open(io.BytesIO(data)).size[::-1], 3)
        except (UnidentifiedImageError, SyntaxError, ValueError):
            assert data[:2] in (b"\xff\xd8", b"\x89P", b"II", b"MM")  # Pillow is more particular

    run("CompressedImage", 2000, lambda: refusing(ImageError, use, *malformed.compressed(rng)))


def test_detections(rng):
    def use(message) -> None:
        prompts = prompts_from_detections(message)
        assert len(prompts) <= min(len(message.detections), MAX_OBJECTS)
        assert all(
            np.isfinite(p.points).all() and (p.box is None or np.isfinite(p.box).all())
            for p in (item.prompt for item in prompts)
        )

    run("Detection2DArray", 700, lambda: refusing(PromptError, use, malformed.detections(rng), False))


def test_clicks(rng):
    def use(point) -> None:
        assert np.isfinite(prompt_from_click(point.x, point.y).points).all()

    run("Point", 1000, lambda: refusing(PromptError, use, malformed.pixel(rng), False))


def test_depths(rng):
    def use(message) -> None:
        depths = metres(message)
        assert depths.shape == (message.height, message.width) and depths.dtype == np.float32
        assert not (depths <= 0).any() and not np.isinf(depths).any()

    run("depth Image", 1000, lambda: refusing(DepthError, use, *malformed.depth(rng)))


def test_calibrations(rng):
    depths, labels = np.full((96, 128), 2.0, np.float32), np.zeros((96, 128), np.uint16)
    labels[20:60, 30:90] = 1
    image = np.zeros((96, 128, 3), np.uint8)

    def use(message) -> None:
        camera = CameraModel.from_info(message, rectified=bool(rng.integers(2)))
        check_aligned(depths, labels, camera)
        cloud = labelled_points(depths, camera, image, labels, {1: 0.9})
        assert len(cloud) == camera.has_ray[labels == 1].sum()
        assert all(np.isfinite(cloud[name]).all() for name in "xyz")
        box = box_around(labels == 1, depths, camera)
        assert box is None or (np.isfinite(box.size).all() and np.isfinite(box.quaternion).all())
        camera.project(np.append(camera.unproject(np.array([[1.0, 2.0]])), [[1.0]], axis=1))

    run("CameraInfo", 400, lambda: refusing(ValueError, use, *malformed.camera_info(rng)))


@pytest.mark.parametrize("track", [True, False])
def test_a_camera_with_all_of_them(known_bundle, rng, track):
    """Everything through the pipeline: each message is counted once, outputs have the size of their image."""
    wired = OfflinePipeline(known_bundle, enable_depth=True, enable_tracking=track)
    kinds, seen = Counter(), Counter()

    def prompts() -> None:
        for topic, message in (
            ("~/prompts", malformed.detections(rng)),
            ("~/point", malformed.point_stamped(rng)),
            ("~/pixel", malformed.pixel(rng)),
            ("~/remove_object", malformed.removal(rng)),
        ):
            counted = wired.give(topic, message)
            arrived = sum(counted.get(kind, 0) for kind in ("prompts_in", "objects_removed"))
            # A prompt that came in may be refused at once all the same: its frame is not known.
            assert arrived + counted.get("bad_prompts", 0) + counted.get("unknown_stamps", 0) >= 1, counted
            assert arrived <= 1 and sum(counted.values()) <= 2
            kinds[topic] += 1

    def frame() -> None:
        wired.give("camera_info", malformed.camera_info(rng)[0])
        wired.give("depth", malformed.depth(rng)[0])
        message, before = malformed.image(rng)[0], wired.counts.copy()
        counted = wired.give("image", message)
        assert counted.pop("frames_in") == 1
        done = wired.work()
        answered = wired.counts["frames_out"] - before["frames_out"]
        refused = wired.counts["bad_images"] - before["bad_images"]
        assert answered + refused == len(done)
        assert message in done or "frames_not_asked_about" in counted
        seen.update(answered=answered, refused=refused)
        kinds.update(camera_info=1, depth=1, image=1)
        if answered and done[-1] is message and refused == 0:
            for topic in ("~/label_map", "~/mask", "~/overlay"):
                made = wired.outputs[topic].messages[-1]
                assert (made.header, made.height, made.width) == (
                    message.header,
                    message.height,
                    message.width,
                )

    forget_peak()
    before = peak_mb()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(200):
            prompts()
            if rng.random() < 0.7:
                wired.give("~/pixel", Point(x=float(rng.uniform(0, 60)), y=float(rng.uniform(0, 60))))
            frame()
            if rng.random() < 0.05:
                wired.prompts.clear()
    cost = peak_mb() - before
    print(f"track {track}: {kinds.total()} messages, {dict(seen)}, {dict(wired.counts)}, {cost:.0f} MB")
    assert wired.counts["prompts_answered"] > 20
    assert seen["answered"] > 30 and seen["refused"] > 30
    assert len(wired.prompts.all()) <= 2 * MAX_OBJECTS


def test_prompts_for_a_frame_that_is_damaged_are_not_for_the_next(known_bundle):
    wired = OfflinePipeline(known_bundle, enable_tracking=False)
    broken = Image(height=5, width=5, encoding="rgb8", step=1)
    broken.header.stamp.sec = 7
    wired.give("image", broken)
    wired.work()
    asked = vision_msgs.Detection2DArray(header=broken.header, detections=[detection(60, 40, 50, 30)])
    assert wired.give("~/prompts", asked) == {"prompts_in": 1}
    wired.work()
    assert wired.counts["bad_images"] == 2 and not wired.prompts.all()


@pytest.mark.parametrize("mode", ["prompt", "everything"])
def test_valid_images_of_unusual_shapes(known_bundle, rng, mode):
    """One after the other, with a prompt that comes and goes: each is answered in its size."""
    wired = OfflinePipeline(known_bundle, mode=mode)
    sizes = [(1, 1), (1, 16384), (16384, 1), (2, 3000), (31, 320), (5000, 3), (13, 97), (96, 128), (11, 11)]
    for height, width in sizes:
        for _ in range(3):
            message = Image(height=height, width=width, encoding="mono8", step=width)
            message.data = malformed.noise(rng, height * width)
            wired.give("~/pixel", Point(x=width / 2, y=height / 2))
            wired.give("image", message)
            wired.work()
            for topic in ("~/label_map", "~/overlay"):
                made = wired.outputs[topic].messages[-1]
                assert (made.height, made.width) == (height, width)
    assert wired.counts["frames_out"] == 3 * len(sizes) and not wired.counts["bad_images"]
