# SPDX-License-Identifier: Apache-2.0
"""ReLU linear attention against its definition, written out."""

import pytest
import torch

from evitsam_ros.models.efficientvit.linear_attention import (
    MultiScaleLinearAttention,
    relu_linear_attention,
    relu_quadratic_attention,
)


@pytest.mark.parametrize("attention", [relu_linear_attention, relu_quadratic_attention])
def test_attention_is_the_weighted_mean_of_its_definition(attention):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 4, 9) for _ in range(3))
    out = attention(q, k, v)
    for head in range(2):
        for i in range(9):
            similar = [
                (q[0, head, :, i].clamp(min=0) @ k[0, head, :, j].clamp(min=0)).double() for j in range(9)
            ]
            expected = sum(w * v[0, head, :, j].double() for j, w in enumerate(similar)) / (
                sum(similar) + 1e-15
            )
            torch.testing.assert_close(out[0, head, :, i].double(), expected, rtol=1e-4, atol=1e-5)


def test_half_precision_input_is_computed_in_float32():
    """The sums of float16 products leave float16's range."""
    q = torch.full((1, 1, 32, 4096), 40.0, dtype=torch.float16)
    out = relu_linear_attention(q, q, q)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, torch.full_like(out, 40.0), rtol=1e-3, atol=0)


def test_small_maps_use_the_quadratic_branch(monkeypatch):
    import evitsam_ros.models.efficientvit.linear_attention as module

    taken = []
    for name in ("relu_linear_attention", "relu_quadratic_attention"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, real=real, name=name: (taken.append(name), real(*a))[1])
    attention = MultiScaleLinearAttention(64).eval()
    with torch.no_grad():
        attention(torch.randn(1, 64, 5, 6))  # 30 positions, 32 channels a head
        attention(torch.randn(1, 64, 6, 6))
    assert taken == ["relu_quadratic_attention", "relu_linear_attention"]
