# SPDX-License-Identifier: Apache-2.0
"""The examples that need no ROS node, on small inputs with known answers."""

import ast
import json
import re

import cv2
import numpy as np
import pytest

from ..conftest import ROOT
from .conftest import EXAMPLES

SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
#: A square, so that the bundle's two proposals, at quarters of its diagonal, are inside the image.
SIZE = (128, 128)


def frames(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8), SIZE)
    return [image] * count


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_is_short_and_documented(name):
    text = (EXAMPLES / name).read_text()
    assert len(text.splitlines()) < 60
    assert f"python examples/{name}" in ast.get_docstring(ast.parse(text))
    assert f"[{name}]({name})" in (EXAMPLES / "README.md").read_text()


def test_no_example_is_installed():
    assert "examples" not in (ROOT / "setup.py").read_text()


def test_an_image_is_segmented_by_a_box_and_a_point(run_example, known_bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "image.png"), frames(1)[0])
    words = ("--box", 32, 24, 96, 72, "--point", 20, 20, "--model", known_bundle)
    output = run_example("segment_image.py", "image.png", *words)
    boxes = [json.loads(found) for found in re.findall(r"box (\[.*\])", output)]
    assert len(boxes) == 2 and np.abs(np.subtract(boxes[0], (32, 24, 96, 72))).max() < 4
    drawn = cv2.imread(str(tmp_path / "masks.png"))
    changed = (drawn != frames(1)[0]).any(2)
    assert changed[40:56, 48:80].all() and not changed[100:, 100:].any()


def test_an_image_without_a_prompt_is_a_usage_error(run_example):
    assert "give --box, --point, or both" in run_example("segment_image.py", "image.png", code=2)


def test_objects_of_a_video_keep_their_ids(run_example, known_bundle, tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
    for frame in frames(6):
        writer.write(frame)
    writer.release()
    output = run_example("track_video.py", path, "--model", known_bundle, "--out", "out.avi")
    assert sorted(re.findall(r"object (\d+): (\d+) frames", output)) == [("1", "6"), ("2", "6")]
    capture = cv2.VideoCapture(str(tmp_path / "out.avi"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert {file.name for file in tmp_path.iterdir()} == {"video.avi", "out.avi"}


def test_a_bag_becomes_a_data_set_that_pycocotools_reads(run_example, known_bundle, tmp_path):
    pytest.importorskip("rosbags")
    coco = pytest.importorskip("pycocotools.coco")
    from ..io.bags import recordings

    with recordings.Recording(tmp_path / "bag") as bag:
        bag.topic("/camera/image_raw", recordings.IMAGE)
        for second, frame in enumerate(frames(3)):
            bag.put("/camera/image_raw", second, recordings.raw(second, frame))
    output = run_example("bag_to_coco.py", "bag", "--model", known_bundle)
    assert output.strip().endswith("3 images, 6 masks -> dataset")
    data = coco.COCO(str(tmp_path / "dataset" / "annotations" / "bag_train.json"))
    assert len(data.imgs) == 3 and {entry["track_id"] for entry in data.anns.values()} == {1, 2}
    for image in data.imgs.values():
        read = cv2.imread(str(tmp_path / "dataset" / "images" / image["file_name"]))
        assert read.shape[:2] == (image["height"], image["width"]) == SIZE
    for entry in data.anns.values():
        mask = data.annToMask(entry)
        assert mask.shape == SIZE and mask.sum() == entry["area"]
        assert cv2.boundingRect(mask) == tuple(entry["bbox"])
