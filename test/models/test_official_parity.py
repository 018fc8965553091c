# SPDX-License-Identifier: Apache-2.0
"""The official implementation's numbers for the same weights (recorded by make_reference.py)."""

import pytest
import torch

from evitsam_ros.models import create_model

from .deterministic import image, weights
from .official import check_embedding, check_heads, reference_of


def build(name: str):
    model = create_model(f"efficientvit_sam_{name}")
    model.load_state_dict(weights({k: tuple(v.shape) for k, v in model.state_dict().items()}), strict=True)
    return model


@pytest.mark.parametrize("name", ["l0", "l1", "l2", "xl0", "xl1"])
def test_official_checkpoints_keys_and_shapes(name):
    with torch.device("meta"):
        state = create_model(f"efficientvit_sam_{name}").state_dict()
    ours = sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert ours == reference_of(name)["keys"].tolist()


@pytest.mark.parametrize("name", ["l0", "l1", "l2", "xl0", "xl1"])
@torch.no_grad()
def test_embedding_and_logits_are_the_official_ones(name):
    reference = reference_of(name)
    model = build(name)
    embedding = model.image_encoder(image(model.spec.image_size))
    check_embedding(embedding, reference)
    if "point_1_iou" in reference:
        check_heads(model, embedding, reference)
