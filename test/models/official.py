# SPDX-License-Identifier: Apache-2.0
"""Comparison of a model with the numbers of the official code for the same weights."""

from pathlib import Path

import numpy as np
import torch

from .deterministic import PROMPTS, mask_prompt, sample

DATA = Path(__file__).parent / "data"
#: Mean absolute difference allowed, as a share of the output's standard deviation.
TOLERANCE = 1e-4


def reference_of(name: str) -> dict[str, np.ndarray]:
    """The recorded numbers of a model, by key."""
    return dict(np.load(DATA / f"official_{name}.npz"))


def shapes_of(reference: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the official state dict."""
    pairs = (key.split(" ", 1) for key in reference["keys"].tolist())
    return {name: tuple(int(n) for n in shape.strip("(),").split(",") if n.strip()) for name, shape in pairs}


def difference(ours: np.ndarray, reference: np.ndarray, scale: np.ndarray) -> float:
    return float(np.abs(ours - reference).mean() / scale)


def check_embedding(
    embedding: torch.Tensor, reference: dict[str, np.ndarray], tolerance: float = TOLERANCE
) -> None:
    """Compare an embedding ``(1, C, h, w)`` with the recorded one."""
    ours = sample(embedding, 1024)
    found = difference(ours, reference["embedding"], reference["embedding_std"])
    assert found < tolerance, found


def check_heads(
    model, embedding: torch.Tensor, reference: dict[str, np.ndarray], tolerance: float = TOLERANCE
) -> None:
    """Compare logits and IoU of every kind of prompt, single mask and three."""
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
            if f"{key}_iou" not in reference:  # TinySAM's code gives three masks only
                assert masks == 1
                continue
            found = difference(sample(logits[:, tokens]), reference[f"{key}_logits"], reference[f"{key}_std"])
            assert found < tolerance, (key, found)
            np.testing.assert_allclose(
                iou[0, tokens].numpy(), reference[f"{key}_iou"], rtol=tolerance, atol=tolerance / 10
            )
