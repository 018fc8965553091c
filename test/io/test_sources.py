# SPDX-License-Identifier: Apache-2.0
"""Folders, videos and images as sources, whatever they are called."""

import cv2
import numpy as np
import pytest

from evitsam_ros.io.sources import SourceError, is_device, is_sequence, open_sequence, open_source
from evitsam_ros.io.video_files import DEFAULT_RATE


def write_image(path, value: int, shape=(24, 32)) -> None:
    path.write_bytes(cv2.imencode(path.suffix, np.full((*shape, 3), value, np.uint8))[1].tobytes())


def values(frames) -> list[int]:
    return [round(float(frame.mean())) for frame in frames]


def test_numbers_in_names_count_by_their_value(tmp_path):
    for number in (1, 2, 9, 10, 11, 100):
        write_image(tmp_path / f"Frame{number}.png", number)
    assert values(open_source(str(tmp_path), loop=False)) == [1, 2, 9, 10, 11, 100]
    sequence = open_sequence(tmp_path)
    assert sequence.rate == DEFAULT_RATE
    names = [name for name, _ in sequence.frames]
    assert names == [f"Frame{number}.png" for number in (1, 2, 9, 10, 11, 100)]


def test_only_images_of_a_folder_count(tmp_path, caplog):
    write_image(tmp_path / "1.png", 10)
    write_image(tmp_path / "3.PNG", 30)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._1.png").write_bytes(b"what macOS leaves")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "2.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((99, 99, 3), np.uint8))[1].tobytes()[:300])
    assert values(open_source(str(tmp_path), loop=False)) == [10, 30]
    assert caplog.text.count("left out") == 1 and "2.jpg is cut off" in caplog.text


def test_a_damaged_file_of_a_loop_is_named_once(tmp_path, caplog):
    write_image(tmp_path / "1.png", 10)
    (tmp_path / "2.png").touch()
    frames = open_source(str(tmp_path), loop=True)
    assert values(next(frames) for _ in range(5)) == [10] * 5
    assert caplog.text.count("2.png is empty") == 1


def test_folders_without_an_image_that_can_be_read(tmp_path):
    with pytest.raises(SourceError, match="is a folder without images"):
        open_source(str(tmp_path))
    (tmp_path / "1.png").touch()
    with pytest.raises(SourceError, match="has no image that can be read"):
        list(open_source(str(tmp_path), loop=False))


@pytest.mark.parametrize("name", ["0001", "7", "skimage", "a:b", "50%", "caf\udce9", "drive.mp4"])
def test_a_folder_may_have_any_name(tmp_path, name, monkeypatch):
    (tmp_path / name).mkdir()
    write_image(tmp_path / name / "1.png", 10)
    monkeypatch.chdir(tmp_path)
    assert not is_device(name) and is_sequence(type(tmp_path)(name))
    assert values(open_source(name, loop=False)) == [10]
    assert values(frame for _, frame in open_sequence(type(tmp_path)(name)).frames) == [10]


def test_a_number_that_no_file_has_is_a_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_device("63") and is_device("/dev/video63")
    with pytest.raises(SourceError, match="source 63 cannot be opened as a video"):
        open_source("63")


def test_a_video_has_its_rate_and_numbers_for_names(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    for value in (40, 200):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    sequence = open_sequence(tmp_path / "a.avi")
    assert sequence.rate == 12.5 and [name for name, _ in sequence.frames] == ["000000", "000001"]


def test_a_moving_gif_is_a_sequence_and_a_still_one_an_image(tmp_path):
    import PIL.Image as Pillow

    first, second = (Pillow.new("RGB", (64, 48), (value,) * 3) for value in (40, 200))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second], duration=100)
    first.save(tmp_path / "still.gif")
    assert is_sequence(tmp_path / "moving.gif") and not is_sequence(tmp_path / "still.gif")
    assert values(open_source(str(tmp_path / "moving.gif"), loop=False)) == [40, 200]
    assert values(open_source(str(tmp_path / "still.gif"), loop=False)) == [40]


def test_an_image_without_an_ending_is_one(tmp_path):
    write_image(tmp_path / "a.png", 10)
    (tmp_path / "a.png").rename(tmp_path / "photo")
    assert not is_sequence(tmp_path / "photo")
    assert values(open_source(str(tmp_path / "photo"), loop=False)) == [10]


@pytest.mark.parametrize("source", ["nowhere.jpg", "nowhere.mp4", "nowhere", "~nobody/at/all"])
def test_missing_sources_are_named(source):
    with pytest.raises(SourceError, match=f"source '{source}' does not exist; expected an image, a folder"):
        open_source(source)
