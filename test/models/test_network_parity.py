# SPDX-License-Identifier: Apache-2.0
"""Official and timm's networks give the same outputs for the same weights, under the same keys."""

from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evitsam_ros.models.efficientvit.build import create_network
from evitsam_ros.models.network_specs import NETWORK_SPECS
from evitsam_ros.models.timm_backbone import import_timm

from .deterministic import sample, weights
from .make_network_reference import REFERENCE, network_input
from .official import TOLERANCE, difference

OFFICIAL = [name for name, spec in NETWORK_SPECS.items() if spec.is_official]
#: L3 has 246 M parameters: its keys are tested, and its blocks are those of L2.
RUN = [name for name in OFFICIAL if not name.endswith("_l3")]


@cache
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as file:
        return dict(file)


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", OFFICIAL)
def test_keys_and_shapes_are_those_of_the_official_checkpoints(name):
    with torch.device("meta"):
        network = create_network(name)
    ours = sorted(f"{key} {shape}" for key, shape in shapes_of(network).items())
    assert ours == reference()[f"{name} keys"].tolist()


@pytest.mark.parametrize("name", RUN)
@torch.no_grad()
def test_outputs_are_the_official_ones(name):
    network = create_network(name)
    network.load_state_dict(weights(shapes_of(network)))
    ours = sample(network(network_input()), 256)
    assert difference(ours, reference()[f"{name} output"], reference()[f"{name} std"]) < TOLERANCE


@pytest.mark.parametrize("backbone", ["b0", "b2", "l1"])
@torch.no_grad()
def test_a_file_of_timm_loads_and_gives_the_outputs_of_timm(backbone, tmp_path):
    theirs = import_timm().create_model(f"efficientvit_{backbone}").eval()
    theirs.load_state_dict(weights(shapes_of(theirs)))
    save_file(theirs.state_dict(), tmp_path / "timm.safetensors")
    ours = create_network(f"efficientvit_cls_{backbone}", tmp_path / "timm.safetensors")
    # timm adds another epsilon in the attention, and in one norm of the L series.
    for module in theirs.modules():
        if type(module).__name__ == "LiteMLA":
            module.eps = 1e-15
    theirs.head.in_conv.norm.eps = ours.head.op_list[0].norm.eps
    image = network_input()[:, :, :128]
    expected = theirs(image)
    assert float((ours(image) - expected).abs().mean() / expected.std()) < TOLERANCE


@pytest.mark.parametrize("source", ["official", "timm"])
def test_segmentation_starts_from_a_classifiers_backbone(source, tmp_path):
    if source == "timm":
        classifier = import_timm().create_model("efficientvit_b0")
    else:
        classifier = create_network("efficientvit_cls_b0")
    classifier.load_state_dict(weights(shapes_of(classifier)))
    save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    network = create_network("efficientvit_seg_b0_camvid", backbone=tmp_path / "classifier.safetensors")
    expected = create_network("efficientvit_cls_b0", tmp_path / "classifier.safetensors").backbone
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(network.backbone.state_dict()[key], value)


def test_another_networks_checkpoint_is_rejected_by_name(tmp_path):
    save_file(create_network("efficientvit_seg_b0_camvid").state_dict(), tmp_path / "camvid.safetensors")
    with pytest.raises(ValueError, match=r"camvid\.safetensors is not one of efficientvit_seg_b0_cityscapes"):
        create_network("efficientvit_seg_b0_cityscapes", tmp_path / "camvid.safetensors")
    with pytest.raises(ValueError, match="has no backbone to take"):
        create_network("efficientvit_sr", backbone=tmp_path / "camvid.safetensors")
