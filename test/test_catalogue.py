# SPDX-License-Identifier: Apache-2.0
"""The catalogue is complete and consistent, and its models are the registry's."""

import re
from urllib.parse import urlsplit

import pytest

from evitsam_ros.catalogue import CATALOGUE
from evitsam_ros.models.network_specs import NETWORK_SPECS
from evitsam_ros.models.specs import SPECS


@pytest.mark.parametrize("file", CATALOGUE.values(), ids=lambda file: file.name)
def test_every_entry_is_complete(file):
    assert re.fullmatch(r"\w+", file.name) and urlsplit(file.base).scheme == "https"
    assert not file.base.endswith("/") and not file.path.startswith("/") and ".." not in file.path
    assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    assert file.licence.name and file.licence.url.startswith("https://")
    assert file.model or file.about
    assert not file.licence.non_commercial or file.licence.terms


def test_no_two_entries_are_one_file():
    hashes = [file.sha256 for file in CATALOGUE.values() if file.sha256]
    hashes += [refused for file in CATALOGUE.values() for refused in file.refused]
    assert len(set(hashes)) == len(hashes)
    assert len({(file.base, file.path) for file in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_official_efficientvit_sam_can_be_fetched_and_has_the_size_of_its_weights():
    published = [spec for spec in SPECS.values() if spec.family == "efficientvit_sam"]
    assert len(published) == 5
    for spec in published:
        file = CATALOGUE[spec.name]
        assert file.exportable and file.fits(round(4 * spec.params * 1.001))
        assert not file.fits(2 * spec.params)


def test_bundles_have_the_names_of_their_models():
    """``model:=NAME`` is what was fetched as NAME."""
    assert all(file.name == file.model for file in CATALOGUE.values() if file.exportable)


def test_every_model_of_the_catalogue_can_be_exported():
    assert {file.model for file in CATALOGUE.values() if file.exportable} <= set(SPECS) | set(NETWORK_SPECS)


def test_every_official_segmentation_network_can_be_fetched():
    official = [s for s in NETWORK_SPECS.values() if s.kind == "semantic" and s.is_official]
    assert len(official) == 11
    for spec in official:
        file = CATALOGUE[spec.name]
        assert file.model == spec.name and "non-commercial" in file.licence.terms
        # Weights, buffers of the normalisations, and the names of the tensors.
        assert file.size is None or 4 * spec.params / 1.01 <= file.size < 4.4 * spec.params


def test_every_official_classifier_can_be_downloaded_to_start_a_training_from():
    found = {n.removeprefix("efficientvit_cls_"): f for n, f in CATALOGUE.items() if "_cls_" in n}
    assert {name.partition("_")[0] for name in found} == {"b0", "b1", "b2", "b3", "l1", "l2", "l3"}
    assert len(found) == 20 and not any(file.exportable for file in found.values())
