# SPDX-License-Identifier: Apache-2.0
"""Ids over frames that are made up: what is where is known, and so is who is who."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from evitsam_ros.backends import Encoded
from evitsam_ros.segment import Embedding, Frame, Masks, Prompt, PromptError
from evitsam_ros.segment.iou import mask_iou_matrix
from evitsam_ros.segment.timing import StageTimer
from evitsam_ros.segment.transform import Transform
from evitsam_ros.tracking import PromptTracker, PromptTrackOptions, TrackedCamera, Tracker, TrackOptions
from evitsam_ros.tracking import camera as camera_module
from evitsam_ros.tracking.association import appearance_embeddings, assign

SIDE = 256
TRANSFORM = Transform((SIDE, SIDE), 640, 640, (160, 160))
CELL = SIDE / 160
COLOURS = {"a": (200, 40, 40), "b": (40, 200, 40), "c": (40, 40, 200)}


def scene(**places: tuple[int, int]) -> np.ndarray:
    """Textured squares of 48 pixels at places (x, y), each of a colour, on a textured ground."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(60, 120, (32, 32, 3), dtype=np.uint8), (SIDE, SIDE))
    for name, (x, y) in places.items():
        texture = cv2.resize(rng.integers(-35, 35, (8, 8, 1)).astype(np.int16), (48, 48))[..., None]
        square = np.clip(np.array(COLOURS[name]) + texture, 0, 255).astype(np.uint8)
        image[y : y + 48, x : x + 48] = square
    return image


@dataclass
class Eyes:
    """A segmenter that sees colours: every square is a mask, and the embedding is the image itself."""

    image: np.ndarray | None = None
    blind_to: set = field(default_factory=set)

    def new_timer(self) -> StageTimer:
        return StageTimer()

    def embed(self, frame: Frame) -> Embedding:
        self.image = frame.image
        small = cv2.resize(frame.image, (40, 40), interpolation=cv2.INTER_AREA)
        return Embedding(Encoded(small.transpose(2, 0, 1)[None].astype(np.float32)), TRANSFORM)

    def everything(self) -> Masks:
        found = []
        for name, colour in COLOURS.items():
            near = np.abs(self.image.astype(int) - colour).max(-1) < 60
            if near.sum() > 300 and name not in self.blind_to:
                found.append(near)
        return masks_of(found[::-1])

    def decode(self, embedding, prompts) -> Masks:
        """The square that the prompt's middle lies on, or nothing."""
        everything = self.everything()
        found = []
        for prompt in prompts:
            x, y = (prompt.box[:2] + prompt.box[2:]) / 2 if prompt.box is not None else prompt.points[0]
            row, column = int(y / CELL), int(x / CELL)
            on = [m for m in everything.logits > 0 if m[row, column]]
            found.append(
                cv2.resize(on[0].astype(np.uint8), (SIDE, SIDE)) > 0 if on else np.zeros((SIDE, SIDE), bool)
            )
        return masks_of(found, [prompt.object_id for prompt in prompts])


def masks_of(found: list[np.ndarray], ids=None) -> Masks:
    cells = [cv2.resize(m.astype(np.uint8), (160, 160), interpolation=cv2.INTER_NEAREST) for m in found]
    logits = np.stack(cells).astype(np.float32) * 8 - 4 if cells else np.zeros((0, 160, 160), np.float32)
    ids = np.arange(1, len(found) + 1) if ids is None else np.array(ids, int)
    return Masks(logits, np.full(len(found), 0.9, np.float32), ids, TRANSFORM)


def places(masks: Masks) -> dict[int, tuple[int, int]]:
    """Top-left corners in pixels by id, to the nearest eight."""
    return {
        int(i): tuple(int(round(v / 8) * 8) for v in b[:2])
        for i, b in zip(masks.object_ids, masks.boxes, strict=True)
    }


def at(camera: TrackedCamera, **where) -> dict[int, tuple[int, int]]:
    return places(camera.everything(Frame(scene(**where))))


class EyesGenerator:
    """Everything mode of :class:`Eyes`."""

    def __init__(self, eyes: Eyes, options) -> None:
        self.eyes = eyes

    def generate(self, embedding, extra_prompts, elapsed) -> Masks:
        return self.eyes.everything()


@pytest.fixture(autouse=True)
def generator(monkeypatch) -> None:
    monkeypatch.setattr(camera_module, "MaskGenerator", EyesGenerator)


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


@pytest.fixture
def camera(eyes) -> TrackedCamera:
    return TrackedCamera(eyes, TrackOptions(min_hits=2, max_lost_frames=5))


def test_ids_follow_moving_objects(camera):
    first = at(camera, a=(16, 16), b=(120, 120))
    by_place = {place: identity for identity, place in first.items()}
    for step in range(1, 8):
        now = at(camera, a=(16 + 8 * step, 16), b=(120, 120 - 8 * step))
        assert now[by_place[16, 16]] == (16 + 8 * step, 16)
        assert now[by_place[120, 120]] == (120, 120 - 8 * step)
        assert len(now) == 2


def test_a_new_object_is_published_after_two_frames_with_a_new_id(camera):
    (first,) = at(camera, a=(16, 16))
    assert set(at(camera, a=(16, 16), c=(160, 160))) == {first}
    both = at(camera, a=(16, 16), c=(160, 160))
    assert len(both) == 2 and both[first] == (16, 16)


def test_a_returning_object_keeps_its_id_and_a_lost_one_is_dropped(camera, eyes):
    where = {"a": (16, 16), "b": (120, 120)}
    first = at(camera, **where)
    hidden = next(i for i, place in first.items() if place == (120, 120))
    eyes.blind_to = {"b"}
    assert hidden not in at(camera, **where) and camera.tracker.lost == [hidden]
    assert hidden not in at(camera, **where) and camera.tracker.lost == []
    eyes.blind_to = set()
    assert at(camera, a=(16, 16), b=(144, 128))[hidden] == (144, 128)
    eyes.blind_to = {"b"}
    for _ in range(6):
        at(camera, **where)
    eyes.blind_to = set()
    at(camera, **where)
    assert hidden not in at(camera, **where) and len(camera.tracker.tracks) == 2


def test_another_of_other_looks_is_not_the_one_that_left(camera, eyes):
    first = at(camera, a=(16, 16), b=(120, 120))
    gone = next(i for i, place in first.items() if place == (120, 120))
    eyes.blind_to = {"b"}
    at(camera, a=(16, 16), b=(120, 120))
    for _ in range(3):
        now = at(camera, a=(16, 16), c=(176, 160))
    assert gone not in now and len(now) == 2


def test_ids_wrap_and_skip_those_in_use():
    tracker = Tracker()
    eyes = Eyes()
    camera = TrackedCamera(eyes)
    camera.tracker = tracker
    at(camera, a=(16, 16))
    tracker._next = 65535
    for _ in range(2):
        now = at(camera, a=(16, 16), b=(120, 16), c=(120, 120))
    assert set(now) == {1, 65535, 2}


def test_ids_go_beyond_the_largest_only_while_all_are_in_use(eyes):
    camera = TrackedCamera(eyes, TrackOptions(min_hits=1, max_lost_frames=0, max_id=2))
    assert set(at(camera, a=(16, 16))) == {1}
    assert set(at(camera, b=(120, 16))) == {2}
    assert set(at(camera, c=(120, 120))) == {1}
    assert set(at(camera, a=(16, 16), b=(120, 16), c=(120, 120))) == {1, 2, 3}


def test_memory_is_bounded(eyes):
    camera = TrackedCamera(eyes, TrackOptions(min_hits=1, max_lost_frames=1000, max_tracks=2))
    for name in "abc":
        at(camera, **{name: (16 + 40 * ord(name) % 160, 16)})
    assert len(camera.tracker.tracks) == 2


def test_another_image_size_resets_the_tracks(camera):
    at(camera, a=(16, 16))
    camera.tracker._flow.update(np.zeros((64, 64, 3), np.uint8), Transform((64, 64), 640, 640, (160, 160)))
    assert len(at(camera, a=(16, 16))) == 1


@pytest.mark.parametrize("kind", ["box", "point"])
def test_a_prompt_follows_its_object_is_lost_with_it_and_finds_it_again(camera, eyes, kind):
    prompt = Prompt(box=(30, 30, 78, 78)) if kind == "box" else Prompt(points=[(54, 54)])
    prompts = {7: prompt}
    for step in range(8):
        x = 30 + 8 * step
        masks = camera.prompted(Frame(scene(a=(x, 30), b=(160, 160))), prompts)
        assert masks.object_ids.tolist() == [7]
        assert abs(masks.boxes[0][0] - x) < 4, f"step {step}"
    eyes.blind_to = {"a"}
    for _ in range(6):
        masks = camera.prompted(Frame(scene(a=(x, 30), b=(160, 160))), prompts)
        assert not len(masks), "nothing is better than something wrong"
    assert camera.prompt_tracker.lost == [7]
    eyes.blind_to = set()
    masks = camera.prompted(Frame(scene(a=(x, 30), b=(160, 160))), prompts)
    assert masks.object_ids.tolist() == [7] and camera.prompt_tracker.lost == []


def test_another_object_in_its_place_is_not_taken_for_it(camera):
    prompts = {1: Prompt(box=(30, 30, 78, 78))}
    camera.prompted(Frame(scene(a=(30, 30))), prompts)
    for _ in range(6):
        assert not len(camera.prompted(Frame(scene(c=(90, 90))), prompts))
    assert not len(camera.prompted(Frame(scene(b=(30, 30))), prompts))


def test_a_new_prompt_outside_the_frame_is_rejected_and_the_others_stay(camera):
    frame, inside = Frame(scene(a=(40, 60))), Prompt(points=[(60, 80)])
    assert camera.prompted(frame, {1: inside}).object_ids.tolist() == [1]
    outside = Prompt(points=[(60, SIDE + 1)])
    with pytest.raises(PromptError, match=r"prompt 1: point \(60, 257\) is outside the image of 256x256"):
        camera.prompted(frame, {1: inside, 2: outside})
    assert list(camera.known) == [1]
    assert camera.prompted(frame, {1: inside}).object_ids.tolist() == [1]


def test_objects_are_added_and_removed_while_it_runs(camera):
    image = Frame(scene(a=(30, 30), b=(160, 160)))
    first, second = Prompt(box=(30, 30, 78, 78)), Prompt(points=[(184, 184)])
    assert camera.prompted(image, {1: first}).object_ids.tolist() == [1]
    assert camera.prompted(image, {1: first, 2: second}).object_ids.tolist() == [1, 2]
    assert camera.prompted(image, {2: second}).object_ids.tolist() == [2]
    assert dict(camera.known) == {2: second} and list(camera.prompt_tracker.objects) == [2]
    camera.reset()
    assert (
        not camera.known
        and isinstance(camera.prompt_tracker, PromptTracker)
        and not camera.prompt_tracker.objects
    )


def test_scores_and_assignment_against_hand_made_cases():
    a = np.zeros((2, 4, 4), bool)
    a[0, :2], a[1, :, :1] = True, True
    b = np.zeros((3, 4, 4), bool)
    b[0, :2], b[1, :, :2] = True, True
    np.testing.assert_allclose(mask_iou_matrix(a, b), [[1, 4 / 12, 0], [2 / 10, 0.5, 0]])
    # Greedy would take 0.9 and be left with 0; the best sum is 0.8 + 0.7.
    assert assign(np.array([[0.9, 0.8], [0.7, 0.0]]), 0.1) == [(0, 1), (1, 0)]
    assert assign(np.array([[0.9, 0.8], [0.7, 0.0]]), 0.75) == [(0, 0)]
    assert assign(np.zeros((0, 3)), 0.1) == []


def test_descriptions_identify_the_appearance_under_a_mask():
    data = np.zeros((1, 2, 4, 4), np.float32)
    data[0, 0, :, :2], data[0, 1, :, 2:] = 1, 1
    masks = np.zeros((3, 16, 16), bool)
    masks[0, :, :8], masks[1, :, 8:], masks[2, :4, :8] = True, True, True
    looks = appearance_embeddings(data, masks, (4, 4))
    similar = looks @ looks.T
    np.testing.assert_allclose(similar, [[1, -1, 1], [-1, 1, -1], [1, -1, 1]], atol=1e-5)
    assert appearance_embeddings(data, masks[:0], (4, 4)).shape == (0, 2)


def test_after_a_pause_an_object_is_matched_by_appearance_only(camera):
    prompts = {1: Prompt(box=(30, 30, 78, 78))}
    camera.prompted(Frame(scene(a=(30, 30))), prompts)
    camera.pause()
    assert camera.prompted(Frame(scene(a=(34, 30))), prompts).object_ids.tolist() == [1]
    camera.pause()
    assert not len(camera.prompted(Frame(scene(b=(30, 30))), prompts)), "something else is in its place"
    camera.pause()
    assert camera.prompted(Frame(scene(a=(30, 30))), prompts).object_ids.tolist() == [1]


def test_after_a_pause_everything_mode_gives_new_ids(camera):
    before = at(camera, a=(16, 16), b=(120, 120))
    camera.pause()
    after = at(camera, a=(16, 16), b=(120, 120))
    assert len(before) == len(after) == 2 and not set(before) & set(after)


def test_old_names_of_options_warn(eyes):
    with pytest.warns(DeprecationWarning, match=r"birth=….* use min_hits=…"):
        assert TrackOptions(birth=3) == TrackOptions(min_hits=3)
    with pytest.warns(DeprecationWarning, match=r"patience=….* use max_missed_frames=…"):
        assert PromptTrackOptions(patience=3) == PromptTrackOptions(max_missed_frames=3)
    camera = TrackedCamera(eyes)
    with pytest.warns(DeprecationWarning, match="use TrackedCamera.prompt_tracker"):
        assert camera.follower is camera.prompt_tracker
