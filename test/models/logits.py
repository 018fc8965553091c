# SPDX-License-Identifier: Apache-2.0
"""Logits of a trained model's size from random weights."""

import torch


@torch.no_grad()
def with_large_logits(model, std: float = 2.0):
    """Scale the last layers of the hypernetworks of a model, in place, so that logits have this deviation."""
    spec, generator = model.spec, torch.Generator().manual_seed(0)
    logits, _ = model.decode(
        torch.randn(1, *spec.embedding, generator=generator),
        torch.rand(1, 2, 2, generator=generator) * spec.prompt_size,
        torch.tensor([[2.0, 3.0]]),
        torch.zeros(1, 1, *spec.mask_size),
        torch.zeros(1),
    )
    for index, mlp in enumerate(model.mask_decoder.output_hypernetworks_mlps):
        factor = std / logits[:, index].std()
        mlp.layers[-1].weight *= factor
        mlp.layers[-1].bias *= factor
    return model
