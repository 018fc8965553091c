# SPDX-License-Identifier: Apache-2.0
"""Test checkpoints and bundles that were downloaded by hand."""

import shutil
from dataclasses import replace

import pytest

from evitsam_ros.catalogue import CATALOGUE
from evitsam_ros.fetch.errors import FetchError
from evitsam_ros.fetch.fetch import fetch_named, install_brought

from .conftest import DOWNLOAD, OPTIONS, entry


@pytest.mark.parametrize("layout", ["file", "folder", "repository", "by hash", "other file of the name"])
def test_a_checkpoint_can_be_brought_by_hand(offered, server, checkpoint, tmp_path, lines, layout):
    stick = tmp_path / "stick"
    stick.mkdir()
    path = {
        "file": stick / "renamed.pt",
        "folder": stick / "small_sam.pt",
        "repository": stick / "a" / "b" / "small_sam.pt",
        "by hash": stick / "blobs" / offered.sha256,
        "other file of the name": stick / "z" / "small_sam.pt",
    }[layout]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(checkpoint)
    if layout == "other file of the name":
        (stick / "distilled").mkdir()
        (stick / "distilled" / "small_sam.pt").write_bytes(b"another")
    place = path if layout == "file" else stick
    options = replace(OPTIONS, brought=place, download_only=True)
    assert fetch_named("small_sam", options, lines.append) == path
    assert not server.requests and path.read_bytes() == checkpoint


def test_a_checkpoint_is_recognised_without_its_name(offered, server, checkpoint, tmp_path, lines):
    path = tmp_path / "weights.pt"
    path.write_bytes(checkpoint)
    assert install_brought(path, replace(DOWNLOAD, brought=path), lines.append) == path
    assert any(line.startswith("small_sam: licence") for line in lines)
    path.write_bytes(checkpoint[:-1])
    with pytest.raises(FetchError, match=r"weights\.pt is no file of the catalogue"):
        install_brought(path, replace(OPTIONS, brought=path), lines.append)
    with pytest.raises(FetchError, match="does not exist"):
        install_brought(tmp_path / "no.pt", OPTIONS, lines.append)


def test_a_wrong_file_that_was_brought_is_named_and_kept(offered, small, tmp_path, lines, monkeypatch):
    path = tmp_path / "small_sam.pt"
    path.write_bytes(small)
    with pytest.raises(FetchError, match=rf"is not small_sam\.pt: it is {len(small)} bytes with SHA-256"):
        fetch_named("small_sam", replace(OPTIONS, brought=path), lines.append)
    monkeypatch.setitem(CATALOGUE, "other", entry("http://x", small, name="other", path="other.pt"))
    with pytest.raises(FetchError, match=r"it is other\.pt, the file of 'other'"):
        fetch_named("small_sam", replace(OPTIONS, brought=path), lines.append)
    with pytest.raises(FetchError, match=r"holds no small_sam\.pt or [0-9a-f]{64}"):
        (tmp_path / "empty").mkdir()
        fetch_named("small_sam", replace(OPTIONS, brought=tmp_path / "empty"), lines.append)
    assert path.read_bytes() == small


def test_a_bundle_that_hides_the_fetched_one_is_named(bundle_folder, tmp_path, lines, monkeypatch):
    shutil.copytree(bundle_folder, tmp_path / "mine" / "small_sam")
    monkeypatch.setenv("EVITSAM_ENGINES", str(tmp_path / "mine"))
    install_brought(tmp_path / "mine" / "small_sam", OPTIONS, lines.append)
    assert "warning" in lines[-1] and str(tmp_path / "mine" / "small_sam") in lines[-1]
