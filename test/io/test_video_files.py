# SPDX-License-Identifier: Apache-2.0
"""Videos keep their rate and their frames, whatever their names; what is none, or damaged, is named."""

import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from evitsam_ros.io.video_files import DEFAULT_RATE, Video, VideoError, VideoWriter, fitted, is_video

from ..conftest import ROOT

SIZE = (320, 240)


def write(path, rate: float = 30.0, count: int = 6, code: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), rate, SIZE)
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 20 + 10 * number, np.uint8))
    writer.release()


def written(path, frames, rate: float = 30.0) -> None:
    writer = VideoWriter(path, rate)
    try:
        for frame in frames:
            writer.add(frame)
        writer.finish()
    finally:
        writer.discard()


@pytest.mark.parametrize("rate", [5.0, 23.976, 29.97, 30.0, 120.0])
@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mkv", ".mov"])
def test_rate_and_frames_are_kept(tmp_path, rate, ending):
    frames = [np.full((48, 64, 3), value, np.uint8) for value in (40, 120, 200)]
    written(tmp_path / f"a{ending}", frames, rate)
    capture = cv2.VideoCapture(str(tmp_path / f"a{ending}"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=1e-3)
    video = Video(tmp_path / f"a{ending}")
    assert video.rate == pytest.approx(rate, rel=1e-3)
    np.testing.assert_allclose([frame.mean() for frame in video.frames()], [40, 120, 200], atol=6)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{ending}"]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (".webm", "VP80"),
        (".wmv", "WMV2"),
        (".flv", "FLV1"),
        (".mpg", "MPG1"),
        (".ts", "mp4v"),
        (".m4v", "mp4v"),
    ],
)
def test_other_containers_are_read(tmp_path, ending, code):
    write(tmp_path / f"a{ending}", code=code)
    assert is_video(tmp_path / f"a{ending}")
    assert len(list(Video(tmp_path / f"a{ending}").frames())) == 6


@pytest.mark.parametrize(
    "name", ["10:30:00.avi", "f%03d.avi", "50%20.avi", "0001.avi", "what?#.avi", "video"]
)
def test_any_name_will_do(tmp_path, name, monkeypatch):
    write(tmp_path / "a.avi")
    (tmp_path / "a.avi").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    path = type(tmp_path)(name)
    assert is_video(path) and len(list(Video(path).frames())) == 6


def test_a_name_that_is_not_utf_8_never_reaches_native_code(tmp_path):
    path = tmp_path / "caf\udce9.avi"
    write(tmp_path / "a.avi")
    (tmp_path / "a.avi").rename(path)
    for use in (lambda: Video(path), lambda: VideoWriter(path, 30.0)):
        with pytest.raises(VideoError, match="has a name that is not UTF-8; rename it"):
            use()


def test_files_that_are_not_videos_are_named(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_bytes(b"\0" * 5000)
    for name in ("empty.mp4", "text.mp4", "nowhere.mp4"):
        with pytest.raises(VideoError, match=f"{name} cannot be opened as a video"):
            Video(tmp_path / name)
    write(tmp_path / "none.avi", count=0)
    with pytest.raises(VideoError, match=r"none\.avi has no frames"):
        list(Video(tmp_path / "none.avi").frames())


def test_text_is_no_film_of_letters(tmp_path):
    (tmp_path / "notes.txt").write_text("hello\n" * 1000)
    assert cv2.VideoCapture(str(tmp_path / "notes.txt")).isOpened(), "FFmpeg would take it"
    assert not is_video(tmp_path / "notes.txt")


def test_a_cut_video_is_played_to_the_cut_with_a_warning(tmp_path, caplog):
    write(tmp_path / "a.avi", count=20)
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    assert 5 <= len(list(Video(tmp_path / "cut.avi").frames())) <= 15
    assert "of its 20 frames: damaged or cut off" in caplog.text
    caplog.clear()
    assert len(list(Video(tmp_path / "a.avi").frames())) == 20 and not caplog.text


def test_a_rate_that_is_none_is_replaced(tmp_path, monkeypatch):
    write(tmp_path / "a.avi")
    real = cv2.VideoCapture

    class WithoutRate:
        def __init__(self, *source):
            self.capture = real(*source)

        def __getattr__(self, name):
            return getattr(self.capture, name)

        def get(self, what):
            return float("nan") if what == cv2.CAP_PROP_FPS else self.capture.get(what)

    monkeypatch.setattr("evitsam_ros.io.video_files.cv2.VideoCapture", WithoutRate)
    assert Video(tmp_path / "a.avi").rate == DEFAULT_RATE


def test_frames_of_other_sizes_are_fitted_and_none_is_lost(tmp_path):
    """OpenCV drops a frame of another size without a word."""
    shapes = [(48, 64), (96, 64), (48, 640), (10, 10)]
    written(tmp_path / "a.avi", [np.full((*shape, 3), 200, np.uint8) for shape in shapes])
    frames = list(Video(tmp_path / "a.avi").frames())
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 4
    tall = fitted(np.full((96, 64, 3), 200, np.uint8), (64, 48))
    assert (tall[:, 16:48] == 200).all() and not tall[:, :16].any() and not tall[:, 48:].any()


def test_a_failed_encoding_leaves_no_file(tmp_path):
    with pytest.raises(VideoError, match=r"no encoder for 9000x16 pixels in \.mp4; try \.avi"):
        written(tmp_path / "a.mp4", [np.zeros((16, 9000, 3), np.uint8)])
    with pytest.raises(VideoError, match="there are no frames"):
        written(tmp_path / "a.avi", [])
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed(tmp_path):
    """OpenCV says nothing. A limit on the size of files stands for the disk."""
    code = f"""
        import resource, numpy as np
        from pathlib import Path
        from evitsam_ros.io.video_files import VideoError, VideoWriter
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        writer = VideoWriter(Path({str(tmp_path / "a.avi")!r}), 30.0)
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        try:
            for _ in range(20):
                writer.add(noise)
            writer.finish()
        except VideoError as error:
            print(error)
        finally:
            writer.discard()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT
    )
    assert "of 20 frames arrived; is the disk full?" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())
