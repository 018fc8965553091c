# SPDX-License-Identifier: Apache-2.0
"""Identity measures against answers that are made up, so that the scores are known."""

import numpy as np
import pytest

from evitsam_ros.segment import Masks
from evitsam_ros.segment.transform import Transform
from training.annotations import read_folder
from training.evaluate import main
from training.evaluation import round_trips, tracking
from training.evaluation.motion import move_camera

SIDE = 160
TRANSFORM = Transform((SIDE, SIDE), SIDE, SIDE, (SIDE, SIDE))


def answer(**squares: tuple[int, int]) -> Masks:
    """Squares of 20 pixels at (x, y), by names that end in their ids."""
    logits = np.full((len(squares), SIDE, SIDE), -9.0, np.float32)
    for mask, (x, y) in zip(logits, squares.values(), strict=True):
        mask[y : y + 20, x : x + 20] = 9.0
    ids = np.array([int(name[3:]) for name in squares], int)
    return Masks(logits, np.ones(len(squares), np.float32), ids, TRANSFORM)


class Scripted:
    """In place of TrackedCamera: gives what is written down, frame by frame."""

    def __init__(self, segmenter) -> None:
        self.segmenter, self.count = segmenter, -1

    def everything(self, frame, max_prompts) -> Masks:
        self.count += 1
        return self.segmenter.seen[self.count]

    def prompted(self, frame, prompts) -> Masks:
        self.count += 1
        return self.segmenter.followed[self.count]


class Scripts:
    """A segmenter with a script for a trip of one frame and back."""

    seen = (
        answer(id_1=(0, 0), id_2=(40, 0), id_3=(80, 0)),
        answer(),
        answer(id_1=(0, 0), id_9=(40, 0), id_4=(120, 120)),  # 2 has become 9, 3 is gone
    )
    followed = (
        answer(id_1=(0, 0), id_2=(40, 0), id_3=(80, 0)),
        answer(),
        answer(id_1=(0, 0), id_2=(50, 0)),  # 2 has moved by half its side, 3 is lost
    )

    def everything(self, frame, max_prompts) -> Masks:
        return self.seen[0]


def test_round_trips_count_returning_objects(monkeypatch):
    monkeypatch.setattr(round_trips, "TrackedCamera", Scripted)
    frames = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 2
    scores = round_trips.score_round_trips(Scripts(), frames, 1, 64)
    assert scores == {
        "found": pytest.approx(2 / 3),
        "same_id": 0.5,
        "lost": pytest.approx(1 / 3),
        "followed_iou": pytest.approx((1 + 1 / 3 + 0) / 3),
        "objects": 3,
        "trips": 1,
    }
    with pytest.raises(ValueError, match="2 frames; a trip of 2 and back needs 3"):
        round_trips.score_round_trips(Scripts(), frames, 2, 64)


def test_a_static_camera_loses_no_object(shapes_data, bundle_folder, tmp_path, capsys):
    import cv2

    image = cv2.imread(str(next((shapes_data / "images" / "shapes").glob("*.png"))))
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    report = tmp_path / "report.json"
    arguments = ["roundtrips", "--model", "lite_sam", "--sequence", str(tmp_path), "--reach", "2"]
    assert main([*arguments, "--json", str(report)]) == 0
    import json

    scores = json.loads(report.read_text())[tmp_path.name]["2 frames and back"]
    assert scores["objects"] > 0 and scores["trips"] == 1
    assert scores["found"] == scores["same_id"] == scores["followed_iou"] == 1.0 and scores["lost"] == 0.0


def test_known_masks_move_with_the_image(shapes_data):
    """An object's pixels have one colour, in the image and in every view of it."""
    record = read_folder(shapes_data, ["shapes_val"])[0]
    image = record.read_image()
    for view, truths in move_camera(record, 6, seed=3):
        for index, truth in enumerate(truths):
            if truth.sum() > 100:
                expected = np.median(image[record.read_mask(index).astype(bool)], axis=0)
                found = np.median(view[truth.astype(bool)], axis=0)
                assert np.abs(expected - found).max() <= 3


def test_identity_measures_of_a_perfect_and_of_a_forgetful_segmenter(shapes_data, monkeypatch):
    """What is drawn exactly and keeps its id scores 1; a new id in every frame is a switch each time."""
    records = read_folder(shapes_data, ["shapes_val"])[:1]

    class Perfect:
        def __init__(self, segmenter) -> None:
            self.views = iter(list(move_camera(records[0], 4, seed=0)))
            self.number, self.forgetful = 0, segmenter.forgetful

        def everything(self, frame, max_prompts) -> Masks:
            _, truths = next(self.views)
            self.number += 10 * self.forgetful
            size = truths[0].shape
            transform = Transform(size, max(size), max(size), (max(size), max(size)))
            logits = np.full((len(truths), *transform.mask_size), -9.0, np.float32)
            for mask, truth in zip(logits, truths, strict=True):
                mask[: size[0], : size[1]][truth.astype(bool)] = 9.0
            there = np.array([truth.sum() >= 100 for truth in truths])
            ids = self.number + 1 + np.arange(len(truths))
            return Masks(logits[there], np.ones(int(there.sum()), np.float32), ids[there], transform)

    monkeypatch.setattr(tracking, "TrackedCamera", Perfect)
    for forgetful in (False, True):
        segmenter = type("Fake", (), {"forgetful": forgetful})()
        scores = tracking.score_everything(segmenter, records, 4, 64)
        assert scores["recall"] == 1.0
        if forgetful:
            assert scores["num_switches"] > 0 and scores["idf1"] < 0.5
        else:
            assert scores["num_switches"] == 0 and scores["idf1"] == 1.0
