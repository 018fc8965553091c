# SPDX-License-Identifier: Apache-2.0
"""The official implementation's numbers for the same weights (recorded by make_reference.py)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evitsam_ros.models import create_model

from .deterministic import PROMPTS, image, mask_prompt, sample, weights

DATA = Path(__file__).parent / "data"
#: Mean absolute difference allowed, as a share of the output's standard deviation.
TOLERANCE = 1e-4


def build(name: str):
    model = create_model(f"efficientvit_sam_{name}")
    model.load_state_dict(weights({k: tuple(v.shape) for k, v in model.state_dict().items()}), strict=True)
    return model


def difference(ours: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> float:
    return float(np.abs(ours - reference).mean() / scale)


@pytest.mark.parametrize("name", ["l0", "l1", "l2", "xl0", "xl1"])
def test_official_checkpoints_keys_and_shapes(name):
    with torch.device("meta"):
        state = create_model(f"efficientvit_sam_{name}").state_dict()
    ours = sorted(f"{key} {tuple(value.shape)}" for key, value in state.items())
    assert ours == np.load(DATA / f"official_{name}.npz")["keys"].tolist()


@pytest.mark.parametrize("name", ["l0", "l1", "l2", "xl0", "xl1"])
@torch.no_grad()
def test_embedding_and_logits_are_the_official_ones(name):
    reference = np.load(DATA / f"official_{name}.npz")
    model = build(name)
    embedding = model.image_encoder(image(model.spec.image_size))
    ours = sample(embedding, 1024)
    assert difference(ours, reference["embedding"], reference["embedding_std"]) < TOLERANCE
    if "point_1_iou" not in reference:
        return
    for kind, (points, labels, box, with_mask) in PROMPTS.items():
        coords = [*(points or []), *([box[:2], box[2:]] if box else [[0.0, 0.0]])]
        marks = [*(labels or []), *([2, 3] if box else [-1])]
        logits, iou = model.decode(
            embedding,
            torch.tensor([coords]),
            torch.tensor([marks], dtype=torch.float32),
            mask_prompt() if with_mask else torch.zeros(1, 1, 256, 256),
            torch.tensor([float(with_mask)]),
        )
        for masks, tokens in ((1, slice(0, 1)), (3, slice(1, None))):
            key = f"{kind}_{masks}"
            found = difference(sample(logits[:, tokens]), reference[f"{key}_logits"], reference[f"{key}_std"])
            assert found < TOLERANCE, key
            np.testing.assert_allclose(iou[0, tokens].numpy(), reference[f"{key}_iou"], rtol=1e-4, atol=1e-5)
