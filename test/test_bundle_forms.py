# SPDX-License-Identifier: Apache-2.0
"""A second form of a network in a bundle: listed, checked, packed, dropped with the bundle that had it."""

import shutil

import pytest
import yaml

from evitsam_ros.bundle import BundleError, open_bundle, sha256
from evitsam_ros.bundle_folder import new_bundle
from evitsam_ros.bundle_forms import find_form, forms_of
from evitsam_ros.fetch.pack import pack_bundle
from evitsam_ros.fetch.unpack import open_packed

HELD_OUT = {"data": "some_val", "images": 3, "figures": {"box": {"fp32": 0.7, "int8": 0.699}}}


def describe(folder, **changes) -> None:
    """Give the encoder an int8 form, whose files are made up."""
    path = folder / "model.yaml"
    description = yaml.safe_load(path.read_text())
    form = {
        "precision": "int8",
        "file": "encoder.int8.xml",
        "sha256": sha256(folder / "encoder.int8.xml"),
        "weights": {"file": "encoder.int8.bin", "sha256": sha256(folder / "encoder.int8.bin")},
        "held_out": HELD_OUT,
    }
    description["networks"]["encoder"]["forms"] = [form | changes]
    path.write_text(yaml.safe_dump(description))


@pytest.fixture
def two_forms(tmp_path, bundle_folder):
    folder = tmp_path / "engines" / "lite_sam"
    shutil.copytree(bundle_folder, folder)
    (folder / "encoder.int8.xml").write_text("<net/>")
    (folder / "encoder.int8.bin").write_bytes(bytes(100))
    describe(folder)
    return folder


def test_a_bundle_without_forms_has_none(bundle_folder):
    bundle = open_bundle(bundle_folder)
    assert not forms_of(bundle, "encoder") and find_form(bundle, "encoder", "int8") is None


def test_forms_are_listed_with_their_figures(two_forms):
    bundle = open_bundle(two_forms)
    (form,) = forms_of(bundle, "encoder")
    assert form.file == two_forms / "encoder.int8.xml" and form.sha256 == sha256(form.file)
    assert form.precision == "int8" and form.held_out == HELD_OUT
    assert find_form(bundle, "encoder", "int8") == form and find_form(bundle, "encoder", "bf16") is None
    assert not forms_of(bundle, "decoder")
    assert bundle.networks["encoder"].name == "encoder.onnx"


@pytest.mark.parametrize("file", ["encoder.int8.xml", "encoder.int8.bin"])
def test_a_damaged_form_is_named(two_forms, file):
    bundle = open_bundle(two_forms)
    path = two_forms / file
    path.write_bytes(path.read_bytes()[:-1])
    for check in (lambda: open_bundle(two_forms), lambda: bundle.check("encoder")):
        with pytest.raises(BundleError, match=rf"{file} is not the file of this bundle"):
            check()
    bundle.check("decoder")
    path.unlink()
    with pytest.raises(BundleError, match=rf"{file} is missing"):
        open_bundle(two_forms)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "int4"},
        {"file": "../encoder.int8.xml"},
        {"file": "encoder.int8.pkl"},
        {"sha256": "0"},
        {"held_out": {"data": "some_val"}},
        {"held_out": {**HELD_OUT, "images": 0}},
    ],
    ids=str,
)
def test_a_form_that_cannot_be_is_rejected(two_forms, changes):
    describe(two_forms, **changes)
    with pytest.raises(BundleError, match=r"model\.yaml: networks\.encoder\.forms\.0"):
        open_bundle(two_forms)


def test_a_form_is_stored_and_dropped_with_the_bundle(two_forms, bundle_folder):
    (two_forms / "notes.txt").write_text("mine")
    with new_bundle(two_forms) as folder:
        for path in bundle_folder.iterdir():
            shutil.copy2(path, folder / path.name)
    assert not forms_of(open_bundle(two_forms), "encoder")
    assert not list(two_forms.glob("*.int8.*")) and (two_forms / "notes.txt").read_text() == "mine"


def test_a_packed_bundle_has_the_form(two_forms, tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    with open_packed(pack_bundle(two_forms, tmp_path / "lite_sam.tar")) as packed:
        packed.extract(folder)
    assert forms_of(open_bundle(folder), "encoder")
