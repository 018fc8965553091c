# SPDX-License-Identifier: Apache-2.0
"""A damaged bundle is refused with the name of the file; an intact one is found where it is looked for."""

import dataclasses
import shutil

import pytest
import yaml

from evitsam_ros.bundle import BundleError, find_bundle, installed_bundles, open_bundle, sha256
from evitsam_ros.bundle_schema import THRESHOLDS
from evitsam_ros.dense import open_semantic
from evitsam_ros.segment.mask_filter import RENAMED, Thresholds


@pytest.fixture
def copy(tmp_path, bundle_folder):
    folder = tmp_path / "engines" / "lite_sam"
    shutil.copytree(bundle_folder, folder)
    return folder


def edit(folder, **changes) -> None:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_intact_bundle_opens(copy):
    bundle = open_bundle(copy)
    assert bundle.name == "lite_sam" and bundle.has_proposals
    assert bundle.embedding == (256, 40, 40) and bundle.mask_size == (160, 160)
    assert {name: sha256(path) for name, path in bundle.networks.items()} == {
        name: entry["sha256"] for name, entry in bundle.description["networks"].items()
    }


def test_missing_network_is_named(copy):
    (copy / "decoder.onnx").unlink()
    with pytest.raises(BundleError, match=r"decoder\.onnx is missing"):
        open_bundle(copy)


def test_truncated_network_is_named(copy):
    path = copy / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(BundleError, match=r"encoder\.onnx is not the file of this bundle"):
        open_bundle(copy)


@pytest.mark.parametrize(("harm", "text"), [(0, "is missing"), (-64, "truncated, changed or swapped")])
def test_the_decoders_weights_are_checked_too(copy, harm, text):
    path = copy / "decoder.weights"
    content = path.read_bytes()
    path.unlink()
    if harm:
        path.write_bytes(content[:harm])
    with pytest.raises(BundleError, match=rf"decoder\.weights {text}|decoder\.weights.*{text}"):
        open_bundle(copy)


def test_swapped_networks_are_noticed(copy):
    (copy / "encoder.onnx").rename(copy / "x")
    (copy / "proposals.onnx").rename(copy / "encoder.onnx")
    (copy / "x").rename(copy / "proposals.onnx")
    with pytest.raises(BundleError, match=r"truncated, changed or swapped"):
        open_bundle(copy)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 99}, r"model\.yaml: format"),
        ({"std": [0.2, 0, 0.2]}, r"std\.1: 0 is less than or equal to the minimum of 0"),
        ({"mean": [0.5, float("nan"), 0.5]}, r"mean: .*nan.*; expected finite numbers"),
        ({"std": [0.5, float("inf"), 0.5]}, r"std: .*inf.*; expected finite numbers"),
        ({"thresholds": {"score": float("nan")}}, r"thresholds: .*nan.*; expected finite numbers"),
        ({"thresholds": {"scroe": 0.5}}, r"thresholds: 'scroe' is not one of"),
        ({"thresholds": {"nms": -1}}, r"thresholds\.nms: -1 is less than the minimum of 0"),
        ({"mask_size": [0, 160]}, r"mask_size\.0: 0 is less than the minimum of 1"),
        ({"image_size": "large"}, r"image_size: 'large' is not of type 'integer'"),
        ({"mean": [0.5]}, r"mean: \[0\.5\] is too short"),
        (
            {"networks": {"encoder": {"file": "e.onnx", "sha256": "0" * 64}}},
            "'decoder' is a required property",
        ),
        ({"networks": {"encoder": {"file": "../../etc/passwd", "sha256": "0" * 64}}}, "networks"),
    ],
)
def test_wrong_description_names_the_entry(copy, changes, text):
    edit(copy, **changes)
    with pytest.raises(BundleError, match=text):
        open_bundle(copy)


def test_unreadable_description_is_named(copy):
    (copy / "model.yaml").write_text("{{{")
    with pytest.raises(BundleError, match=r"model\.yaml cannot be read"):
        open_bundle(copy)
    (copy / "model.yaml").unlink()
    with pytest.raises(BundleError, match=r"is no bundle: it has no model\.yaml"):
        open_bundle(copy)


def test_an_unknown_name_lists_the_available_ones(copy, monkeypatch):
    monkeypatch.setenv("EVITSAM_ENGINES", str(copy.parent))
    with pytest.raises(BundleError, match=r"no bundle 'sam3'.*lite_sam.*evitsam export"):
        open_bundle("sam3")
    with pytest.raises(BundleError, match=r"no bundle 'lite_seg'.*docs/semantic\.md"):
        open_semantic("lite_seg")


def test_search_path_prefers_the_users_folder_over_the_installation(copy, tmp_path, monkeypatch):
    installed = tmp_path / "prefix" / "share" / "evitsam_ros" / "engines" / "lite_sam"
    shutil.copytree(copy, installed)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    monkeypatch.delenv("EVITSAM_ENGINES", raising=False)
    assert find_bundle("lite_sam") == installed
    monkeypatch.setenv("EVITSAM_ENGINES", str(copy.parent))
    assert find_bundle("lite_sam") == copy
    assert installed_bundles()["lite_sam"] == copy


def test_the_thresholds_of_a_description_are_those_of_everything_mode():
    fields = {field.name for field in dataclasses.fields(Thresholds)}
    assert set(THRESHOLDS) == fields | set(RENAMED) and set(RENAMED.values()) <= fields


@pytest.mark.parametrize("text", ["[" * 3000, "{{{", "a: &a [*a]\n"], ids=["deep", "no YAML", "circle"])
def test_a_description_that_is_no_description_is_one_error(copy, text):
    (copy / "model.yaml").write_text(text)
    with pytest.raises(BundleError, match=r"model\.yaml"):
        open_bundle(copy)
