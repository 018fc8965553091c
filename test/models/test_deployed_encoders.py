# SPDX-License-Identifier: Apache-2.0
"""The deployed forms of the encoders of SAM's family compute what the plain ones do."""

import copy
from functools import partial

import pytest
import torch

from evitsam_ros.models.repvit import RepVitEncoder
from evitsam_ros.models.tiny_vit import TinyVitEncoder

from ..conftest import lively
from .small_vit import small_vit

#: Encoders and the side of an image that makes no map a multiple of its windows.
ENCODERS = {
    "sam_vit": (small_vit, 1024),
    "tiny_vit": (TinyVitEncoder, 160),
    "repvit": (partial(RepVitEncoder, "repvit_m1", pyramid=False), 160),
    "edge": (partial(RepVitEncoder, "repvit_m1", pyramid=True), 160),
}


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_deployed_form_is_the_plain_one(name):
    torch.manual_seed(5)
    build, side = ENCODERS[name]
    plain = lively(build())
    for key, parameter in plain.named_parameters():
        if "attention_biases" in key:
            torch.nn.init.normal_(parameter)
    plain.eval()  # timm keeps what it made of the biases
    images = torch.randn(2, 3, side, side)
    expected = plain(images)
    deployed = copy.deepcopy(plain).fold_()
    found = deployed(images)
    assert found.shape == expected.shape == (2, 256, side // 16, side // 16)
    assert float((found - expected).abs().max() / expected.std()) < 1e-3
    assert float((found - expected).abs().mean() / expected.std()) < 1e-5
