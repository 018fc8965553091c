# SPDX-License-Identifier: Apache-2.0
"""Small scenes of coloured patches, as folders, shards, recordings; and the rows of labels, sorted."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from test.io.bags.recordings import Recording, raw

ROOT = Path(__file__).resolve().parents[2]
#: Bytes of an image that the patched decoder of :func:`deadly` dies of.
DEADLY = b"ends the process of its decoder"


def scene(number: int) -> np.ndarray:
    """Return ``(96, 128, 3)`` uint8 BGR: a red patch that moves by two pixels an image, and a green one."""
    image = np.full((96, 128, 3), 128, np.uint8)
    x = 10 + 2 * (number % 20)
    image[20:50, x : x + 30] = (0, 0, 255)
    image[60:85, 85:115] = (0, 255, 0)
    return image


def png(number: int) -> bytes:
    return cv2.imencode(".png", scene(number))[1].tobytes()


def write_folder(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"image{number}.png").write_bytes(png(number))
    return folder


def write_shard(path: Path, count: int, extra: dict[str, bytes] | None = None) -> Path:
    """Write a shard in the layout of webdataset: an image beside a JSON."""
    members = {f"image{number}.png": png(number) for number in range(count)} | (extra or {})
    with tarfile.open(path, "w") as shard:
        for name, content in members.items():
            for member, data in ((name, content), (f"{Path(name).stem}.json", b"{}")):
                info = tarfile.TarInfo(member)
                info.size = len(data)
                shard.addfile(info, io.BytesIO(data))
    return path


def write_bag(path: Path, count: int, topics: tuple[str, ...] = ("/front",)) -> Path:
    with Recording(path) as bag:
        for number in range(count):
            for topic in topics:
                bag.put(topic, number, raw(number, scene(number)))
    return path


def rows(out: Path, table: str = "masks") -> list[dict]:
    """Return the rows of a folder of labels, sorted."""
    files = sorted((out / table).glob("*.parquet"))
    found = [row for file in files for row in pq.read_table(file).to_pylist()]
    return sorted(found, key=lambda row: [(v is None, 0 if v is None else v) for v in row.values()])


def without(found: list[dict], *columns: str) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in columns} for row in found]


def command(*words: str, patch: Path | None = None, **variables: str) -> subprocess.Popen:
    """Start ``evitsam`` as a process; ``patch``: a folder with a ``sitecustomize.py``."""
    path = os.pathsep.join([*([str(patch)] if patch else []), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "TQDM_DISABLE": "1", **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "evitsam_ros.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


def run(*words: str, patch: Path | None = None, **variables: str) -> tuple[int, str, str]:
    """Run ``evitsam`` to its end: exit status, stdout, stderr."""
    process = command(*words, patch=patch, **variables)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def deadly(folder: Path) -> Path:
    """Make a folder for ``patch``: its decoder ends the process at the bytes of ``DEADLY``."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os\n"
        "import cv2\n"
        "decode = cv2.imdecode\n"
        "def imdecode(data, flags):\n"
        f"    if bytes(data[-{len(DEADLY)}:]) == {DEADLY!r}:\n"
        "        os._exit(11)\n"
        "    return decode(data, flags)\n"
        "cv2.imdecode = imdecode\n"
    )
    return folder


def files_of(out: Path) -> dict[str, bytes]:
    """Return the content of all tables by name."""
    return {str(file.relative_to(out)): file.read_bytes() for file in out.glob("*/*.parquet")}


def options_of(bundle: Path) -> tuple[str, ...]:
    """Return the options of most runs: two boxes, on the fastest runtime to start."""
    boxes = ("--box", "5,15,70,55", "--box", "80,55,120,90")
    return (*boxes, "--model", str(bundle), "--backend", "onnxruntime", "--threads", "1")
