# SPDX-License-Identifier: Apache-2.0
"""The deployed form of LiteViT and AutoPPN is the training form, folded."""

import torch
from torch import nn
from torch.nn import functional as F

from evitsam_ros.models.lite_vit import LiteViTBlock
from evitsam_ros.models.multi_scale_pooling import MultiScalePooling


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.std()).item()


def test_pooling_module_equals_its_definition():
    """sum_k w_k AvgPool_k(x) + DWConv(x) - x, by torch's own pools (zero padding counts)."""
    torch.manual_seed(0)
    module = MultiScalePooling(6).double()
    nn.init.normal_(module.pool_weights)
    x = torch.randn(2, 6, 17, 13, dtype=torch.double)
    expected = module.local(x) - x
    for weight, k in zip(module.pool_weights, (3, 5, 7), strict=True):
        expected = expected + weight[:, None, None] * F.avg_pool2d(x, k, 1, k // 2, count_include_pad=True)
    torch.testing.assert_close(module(x), expected)


def test_pooling_gradients_equal_those_of_the_plain_convolution():
    torch.manual_seed(0)
    module = MultiScalePooling(5, (3, 7, 11)).double()
    x = torch.randn(2, 5, 14, 15, dtype=torch.double, requires_grad=True)
    seed = torch.randn(2, 5, 14, 15, dtype=torch.double)
    leaves = (x, module.pool_weights, module.local.weight)
    ours = torch.autograd.grad(module(x), leaves, seed)
    plain = F.conv2d(x, module.kernel(), padding=5, groups=5)
    for a, b in zip(ours, torch.autograd.grad(plain, leaves, seed), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-5)


def test_block_in_training_mode_equals_its_definition():
    torch.manual_seed(0)
    block = LiteViTBlock(8).train()
    nn.init.normal_(block.mix_scale), nn.init.normal_(block.mlp_scale)
    x = torch.randn(3, 8, 12, 12)
    mixed = x + block.mix_scale[:, None, None] * F.batch_norm(
        block.mix(x), None, None, block.mix_norm.weight, block.mix_norm.bias, True, eps=1e-6
    )
    normed = F.batch_norm(mixed, None, None, block.mlp_norm.weight, block.mlp_norm.bias, True, eps=1e-6)
    expected = mixed + block.mlp_scale[:, None, None] * block.project(F.gelu(block.expand(normed)))
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_deployed_model_has_the_same_outputs(random_lite_sam):
    deployed = random_lite_sam.deploy()
    image = torch.randn(1, 3, 320, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedding = random_lite_sam.image_encoder(image)
        assert relative(deployed.image_encoder(image), embedding) < 1e-4
        for ours, reference in zip(
            deployed.auto_ppn(embedding), random_lite_sam.auto_ppn(embedding), strict=True
        ):
            assert relative(ours, reference) < 1e-4


def test_deployed_form_is_smaller_and_holds_no_norm_but_the_last(random_lite_sam):
    deployed = random_lite_sam.deploy()
    assert not [m for m in deployed.modules() if isinstance(m, nn.BatchNorm2d | MultiScalePooling)]
    kinds = [type(m).__name__ for m in deployed.image_encoder.stages[0][0].children()]
    assert kinds == ["Conv2d", "Conv2d", "Conv2d"]
