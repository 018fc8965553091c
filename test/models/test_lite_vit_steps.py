# SPDX-License-Identifier: Apache-2.0
"""Lite-SAM's table 1: every row is counted, and each step of the block is what its description says."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evitsam_ros.models import create_model
from evitsam_ros.models.lite_vit import LiteViT
from evitsam_ros.models.lite_vit_steps import pooling_block
from evitsam_ros.models.multi_scale_pooling import MultiScalePooling
from evitsam_ros.models.pool_former import PoolFormerEncoder

#: Model and row, millions of parameters and billions of multiply-adds at 640x640, as the paper prints them.
TABLE_1 = {
    ("lite_sam", "poolformer_s12"): (11.9, 45.2),
    ("lite_sam", "tiny"): (0.54, 4.2),
    ("lite_sam", "step1"): (1.15, 10.8),
    ("lite_sam", "step2"): (1.15, 10.8),
    ("lite_sam", "step3"): (1.15, 10.8),
    ("lite_sam", "step4"): (1.16, 10.9),
    ("lite_sam", None): (1.16, 10.9),
    ("lite_sam_x2", None): (2.19, 22.3),
    ("lite_sam_x3", None): (3.63, 38.0),
}


@pytest.mark.parametrize(("name", "row"), TABLE_1)
def test_every_row_has_the_published_counts(name, row, monkeypatch):
    # The paper's counter sees no multiply-adds in a pool: count the mixer by its 3x3 convolution alone.
    monkeypatch.setattr(MultiScalePooling, "forward", lambda self, x: self.local(x))
    params, macs = TABLE_1[name, row]
    with torch.device("meta"):
        encoder = create_model(name, lite_vit=row).image_encoder
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            embedding = encoder(torch.empty(1, 3, 640, 640))
    assert embedding.shape == (1, 256, 40, 40)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(params, rel=0.02)
    assert counter.get_total_flops() / 2e9 == pytest.approx(macs, rel=0.02)


@torch.no_grad()
@pytest.mark.parametrize(("step", "kernels"), [(1, (3,)), (2, (3,)), (3, (3, 5, 7)), (4, (3, 5, 7))])
def test_a_step_mixes_as_described(step, kernels):
    block = pooling_block(step, 8).eval()
    x = torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(step))
    centre = sum(x[..., 4 - k // 2 : 5 + k // 2, 4 - k // 2 : 5 + k // 2].mean((2, 3)) for k in kernels)
    expected = centre / len(kernels) - x[..., 4, 4]
    if step == 4:
        expected += (block.local.weight[:, 0] * x[..., 3:6, 3:6]).sum((2, 3))
    torch.testing.assert_close(block.mix(x)[..., 4, 4], expected)
    # The mean of a constant is the constant up to the border: padding does not count.
    if step < 4:
        assert block.mix(torch.ones(1, 8, 5, 5)).abs().max() < 1e-6


@torch.no_grad()
@pytest.mark.parametrize(
    "encoder", [PoolFormerEncoder, lambda: LiteViT("step4")], ids=["poolformer", "step4"]
)
def test_a_row_deploys_to_the_same_outputs(encoder):
    torch.manual_seed(0)
    encoder = encoder().eval()
    image = torch.randn(1, 3, 64, 64)
    expected = encoder(image)
    torch.testing.assert_close(encoder.fold_()(image), expected, atol=1e-4, rtol=1e-4)
    assert not isinstance(encoder.neck.laterals[0], torch.nn.Sequential)


def test_a_checkpoint_loads_with_its_row_only(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "tiny.safetensors"
    save_file(create_model("lite_sam", lite_vit="tiny").state_dict(), path)
    with pytest.raises(ValueError, match=r"tiny\.safetensors is not one of lite_sam"):
        create_model("lite_sam", path)


def test_unknown_rows_and_other_models_are_rejected():
    with pytest.raises(ValueError, match=r"'step9' is unknown; expected one of .*step1"):
        LiteViT("step9")
    with pytest.raises(ValueError, match="is for lite_sam, not for efficientvit_sam_l0"):
        create_model("efficientvit_sam_l0", lite_vit="step1")
