# SPDX-License-Identifier: Apache-2.0
"""A file server, checkpoints with random weights, and a data folder of the test's own."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from evitsam_ros.catalogue import APACHE, CATALOGUE, RemoteFile
from evitsam_ros.fetch.download import Patience
from evitsam_ros.fetch.fetch import FetchOptions

from .server import FileServer

#: Retries that take no time worth waiting for; the limits are guards.
QUICK = Patience(connect_s=60, read_s=60, tries=4, unreachable_tries=2, pause_s=0.01, longest_pause_s=1.0)
OPTIONS = FetchOptions(patience=QUICK)
DOWNLOAD = replace(OPTIONS, download_only=True)
#: Path of ``small_sam`` on the server.
PATH = "/official/small_sam.pt"
#: A process that fetches ``small_sam`` from the server of argv[1], with the entry of argv[2] (JSON).
FETCH = """
import json, sys
from evitsam_ros.cli import main
from evitsam_ros.catalogue import APACHE, CATALOGUE, RemoteFile
values = json.loads(sys.argv[1])
CATALOGUE["small_sam"] = RemoteFile(name="small_sam", path="small_sam.pt", licence=APACHE, **values)
sys.exit(main(["fetch", "small_sam", *sys.argv[2:]]))
"""


@pytest.fixture
def server():
    server = FileServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch) -> Path:
    """The data folder; nothing of the machine's user, proxies or mirrors is used."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("HF_ENDPOINT", "EVITSAM_ENGINES", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "evitsam"


@pytest.fixture(scope="session")
def checkpoint(random_lite_sam) -> bytes:
    """A ``.pt`` of Lite-SAM with random weights."""
    return saved(random_lite_sam.state_dict())


@pytest.fixture(scope="session")
def small(random_lite_sam) -> bytes:
    """A ``.pt`` with a part of the weights: a quarter of a megabyte."""
    return saved(random_lite_sam.auto_ppn.state_dict())


def saved(state: dict) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def entry(url: str, content: bytes, **changes) -> RemoteFile:
    """Describe ``content`` as the catalogue does."""
    file = RemoteFile(
        name="small_sam",
        base=f"{url}/official",
        path="small_sam.pt",
        licence=APACHE,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        model="lite_sam",
    )
    return replace(file, **changes)


@pytest.fixture
def offered(server, checkpoint, monkeypatch) -> RemoteFile:
    """``small_sam`` in the catalogue and on the server."""
    file = entry(server.url, checkpoint)
    server.files["/official/small_sam.pt"] = checkpoint
    monkeypatch.setitem(CATALOGUE, file.name, file)
    return file


@pytest.fixture
def lines() -> list[str]:
    """Return a list for the messages of a fetch."""
    return []


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder except the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "fetch.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
