# SPDX-License-Identifier: Apache-2.0
"""Test a fetch from a name to an installed bundle; after a failure everything is unchanged."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from evitsam_ros.bundle import installed_bundles, open_bundle
from evitsam_ros.catalogue import CATALOGUE, HUGGING_FACE, S_LAB
from evitsam_ros.fetch.errors import FetchError
from evitsam_ros.fetch.fetch import fetch, fetch_named, install_brought, url_of
from evitsam_ros.segment import Prompt, Segmenter

from .conftest import DOWNLOAD, FETCH, OPTIONS, PATH, QUICK, entry, saved, tree
from .server import cut, html, status, wrong_bytes


@pytest.fixture
def installed(offered, data, bundle_folder) -> Path:
    """``small_sam`` as a fetch installs it, without the time of an export."""
    place = data / "models" / "small_sam"
    shutil.copytree(bundle_folder, place)
    description = {
        **yaml.safe_load((place / "model.yaml").read_text()),
        "weights": {"sha256": offered.sha256},
    }
    (place / "model.yaml").write_text(yaml.safe_dump(description))
    return place


def test_a_fetched_model_works_by_its_name(offered, server, data, lines, bundle_folder, photograph):
    place = fetch_named("small_sam", OPTIONS, lines.append)
    assert place == data / "models" / "small_sam" and installed_bundles()["small_sam"] == place
    prompt = Prompt(box=(95, 0, 330, 505))
    masks = []
    for model in ("small_sam", bundle_folder):
        segmenter = Segmenter.open(model, "onnxruntime")
        masks.append(segmenter.decode(segmenter.embed(photograph), [prompt]))
    np.testing.assert_allclose(masks[0].logits, masks[1].logits, atol=1e-3)
    description = open_bundle("small_sam").description
    assert description["licence"] == "Apache-2.0"
    assert description["weights"]["sha256"] == offered.sha256
    assert any("licence Apache-2.0" in line for line in lines)
    # The checkpoint is not kept.
    assert set(path.split("/")[0] for path in tree(data)) == {"models"}

    # What is installed is not fetched again, unless it was damaged since.
    assert fetch_named("small_sam", OPTIONS, lines.append) == place
    assert len(server.requests) == 1 and "installed already" in lines[-1]
    (place / "encoder.onnx").write_bytes(b"damaged")
    server.faults[PATH] = [status(404)]
    with pytest.raises(FetchError, match="404"):
        fetch_named("small_sam", OPTIONS, lines.append)


def test_an_installed_bundle_is_fetched_again_on_request(installed, server, lines):
    assert fetch_named("small_sam", OPTIONS, lines.append) == installed and not server.requests
    server.faults[PATH] = [status(404)]
    with pytest.raises(FetchError, match="404"):
        fetch_named("small_sam", replace(OPTIONS, again=True), lines.append)


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ([wrong_bytes], r"is not small_sam\.pt.*expected SHA-256"),
        ([html()] * QUICK.tries, "HTML page"),
        ([status(404)], "404"),
        ([status(503)] * QUICK.tries, "503"),
        ([cut(0)] * QUICK.tries, "cut off|ended"),
    ],
)
def test_a_failure_keeps_the_installed_bundle(installed, server, data, lines, faults, text):
    before = tree(data / "models")
    server.faults[PATH] = list(faults)
    with pytest.raises(FetchError, match=text) as caught:
        fetch_named("small_sam", replace(OPTIONS, again=True), lines.append)
    assert "\n" not in str(caught.value)
    assert tree(data / "models") == before and open_bundle(installed)
    assert sorted(path.name for path in (data / "models").iterdir()) == ["small_sam"]


def test_a_wrong_part_is_discarded_and_all_is_downloaded_once_more(offered, server, data, lines):
    part = data / "downloads" / "small_sam.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(100_000))
    assert fetch_named("small_sam", DOWNLOAD, lines.append).read_bytes() == server.files[PATH]
    assert [expected for _, expected in server.requests] == ["bytes=100000-", None]


def test_weights_of_another_model_are_named(offered, server, lines, monkeypatch, data):
    """The right file under the wrong model: the checkpoint's keys say so."""
    monkeypatch.setitem(CATALOGUE, "small_sam", replace(offered, model="lite_sam_x2"))
    with pytest.raises(ValueError, match=r"small_sam\.pt is not one of lite_sam_x2"):
        fetch_named("small_sam", OPTIONS, lines.append)
    assert not installed_bundles().keys() & {"small_sam"}
    assert not list((data / "models").iterdir())


def test_a_pickle_is_never_loaded(server, lines, monkeypatch, tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    content = pickle.dumps({"state_dict": Harm()})
    server.files[PATH] = content
    monkeypatch.setitem(CATALOGUE, "small_sam", entry(server.url, content))
    with pytest.raises(ValueError, match="only tensors"):
        fetch_named("small_sam", OPTIONS, lines.append)
    assert not (tmp_path / "harm").exists()


def test_the_refused_version_is_named(offered, server, checkpoint, small, lines, monkeypatch, tmp_path):
    old = hashlib.sha256(small).hexdigest()
    file = replace(offered, refused={old: "the first version of it"}, size=len(small))
    monkeypatch.setitem(CATALOGUE, "small_sam", file)
    server.files[PATH] = small
    with pytest.raises(FetchError, match="is the first version of it; expected"):
        fetch_named("small_sam", OPTIONS, lines.append)
    (tmp_path / "l2.pt").write_bytes(small)
    for names in (["small_sam"], []):
        brought = replace(OPTIONS, brought=tmp_path / "l2.pt")
        with pytest.raises(FetchError, match=r"l2\.pt is the first version of it"):
            fetch_named(names[0], brought, lines.append) if names else install_brought(
                tmp_path / "l2.pt", brought, lines.append
            )
    assert "September 2023" in next(iter(CATALOGUE["efficientvit_sam_l2"].refused.values()))


def test_a_file_without_a_hash_is_trusted_once(server, small, lines, data):
    server.files[PATH] = small
    file = entry(server.url, small, sha256=None, size=None)
    options = DOWNLOAD
    place = fetch(file, options, lines.append)
    digest = hashlib.sha256(small).hexdigest()
    assert json.loads((data / "trusted.json").read_text())["small_sam"]["sha256"] == digest
    assert any("trusted and recorded" in line and digest in line for line in lines)
    place.unlink()
    assert fetch(file, options, lines.append).read_bytes() == small
    place.unlink()
    server.faults[PATH] = [wrong_bytes]
    with pytest.raises(FetchError, match=rf"that was trusted on \d{{4}}-.*recorded {digest}.*trusted\.json"):
        fetch(file, options, lines.append)
    assert not place.exists()
    (data / "trusted.json").write_text("{")
    with pytest.raises(FetchError, match=r"trusted\.json cannot be read"):
        fetch(file, options, lines.append)


def test_a_part_of_a_file_without_a_hash_is_not_continued(server, small, lines, data):
    server.files[PATH] = small
    part = data / "downloads" / "small_sam.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1000))
    fetch(entry(server.url, small, sha256=None), DOWNLOAD, lines.append)
    assert server.requests == [(PATH, None)]


def test_a_non_commercial_licence_has_to_be_accepted(server, small, lines):
    server.files[PATH] = small
    file = entry(server.url, small, licence=S_LAB)
    options = DOWNLOAD
    with pytest.raises(FetchError, match=r"non-commercial use only.*--accept-licence"):
        fetch(file, options, lines.append)
    assert not server.requests and any("commercial use needs the permission" in line for line in lines)
    assert fetch(file, replace(options, accept_licence=True), lines.append).read_bytes() == small


def test_mirrors_replace_the_official_address(server, small, lines, monkeypatch):
    file = entry("", small, base=f"{HUGGING_FACE}/lab/sam/resolve/main", path="deep/small_sam.pt")
    options = replace(OPTIONS, download_only=True, again=True)
    server.files["/hub/lab/sam/resolve/main/deep/small_sam.pt"] = small
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/hub/")
    place = fetch(file, options, lines.append)
    assert place.read_bytes() == small
    place.unlink()
    server.files["/mine/deep/small_sam.pt"] = small
    fetch(file, replace(options, mirror=f"{server.url}/mine"), lines.append)
    assert [path for path, _ in server.requests][-1] == "/mine/deep/small_sam.pt"
    github = CATALOGUE["mobile_sam"]
    assert url_of(github) == f"{github.base}/mobile_sam.pt"
    for wrong in ("mirror.example", "file:///mnt/stick"):
        with pytest.raises(FetchError, match=r"is not a URL.*--from"):
            url_of(file, wrong)
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        with pytest.raises(FetchError, match="HF_ENDPOINT"):
            url_of(file)


def test_missing_torch_is_named_before_anything_is_downloaded(offered, server):
    code = "import sys\nfor name in ('torch', 'onnx'):\n    sys.modules[name] = None\n" + FETCH
    values = {key: getattr(offered, key) for key in ("base", "sha256", "size", "model")}
    hidden = "import importlib.util as u\nfound = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name in ('torch', 'onnx') else found(name, *a)\n"
    command = [sys.executable, "-c", hidden + code, json.dumps(values)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and not server.requests
    assert "needs torch, onnx: pip install torch onnx" in done.stderr
    assert "evitsam pack --model small_sam" in done.stderr and "--from small_sam.tar" in done.stderr
    done = subprocess.run([*command, "--download-only"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(Path(done.stdout.strip()).read_bytes()).hexdigest() == offered.sha256


def test_files_that_cannot_become_a_bundle_are_named(offered, server, lines):
    with pytest.raises(FetchError, match=r"is not a model's weights \(ViTDet.*--download-only"):
        fetch_named("coco_vitdet", OPTIONS, lines.append)
    assert not server.requests
    with pytest.raises(FetchError, match=r"'sam9' cannot be fetched; expected one of efficientvit_sam_l0"):
        fetch_named("sam9", OPTIONS, lines.append)
    with pytest.raises(FetchError, match=r"lite_sam is installed already.*no official file"):
        fetch_named("lite_sam", OPTIONS, lines.append)


def test_a_segmentation_network_is_installed_by_its_name(server, data, lines, monkeypatch):
    """The official B0 for Cityscapes, with random weights, up to an answer."""
    from evitsam_ros.dense import SemanticSegmenter
    from evitsam_ros.models.efficientvit.build import create_network

    name = "efficientvit_seg_b0_cityscapes"
    content = saved({"state_dict": create_network(name, size=(64, 128)).state_dict()})
    official = CATALOGUE[name]
    known = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "exact": True}
    monkeypatch.setitem(CATALOGUE, name, replace(official, base=f"{server.url}/official", **known))
    server.files[f"/official/{official.path}"] = content
    place = fetch_named(name, OPTIONS, lines.append)
    assert place == data / "models" / name and any("trained on Cityscapes" in line for line in lines)
    segmenter = SemanticSegmenter.open(name, "onnxruntime", threads=1)
    assert (segmenter.bundle.input_size, len(segmenter.bundle.classes.names)) == ((1024, 2048), 19)
    assert segmenter.bundle.description["weights"]["sha256"] == known["sha256"]
