# SPDX-License-Identifier: Apache-2.0
"""bfloat16 draws float32's masks with linear attention whose sums are as large as with official weights."""

import pytest
import torch

from evitsam_ros.autotune.photographs import photographs
from evitsam_ros.autotune.proof import compare
from evitsam_ros.backends import BackendError
from evitsam_ros.export import export_bundle
from evitsam_ros.models import create_model
from evitsam_ros.models.efficientvit.linear_attention import MultiScaleLinearAttention
from evitsam_ros.segment import Segmenter

from ..conftest import lively

#: Factor of queries, keys and values with which products of three of them reach 10^7.
LOUD = 30.0
#: Factor of the logits: random ones are too near zero to be masks.
CLEAR = 30.0


@pytest.mark.slow
@pytest.mark.parametrize("size", ["l0", "xl0"])
def test_bfloat16_passes_the_proof_with_large_sums(size, tmp_path):
    torch.manual_seed(0)
    model = lively(create_model(f"efficientvit_sam_{size}"))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, MultiScaleLinearAttention):
                module.qkv.conv.weight *= LOUD
                module.proj.conv.weight /= LOUD
        for mlp in model.mask_decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight *= CLEAR
            mlp.layers[-1].bias *= CLEAR
    bundle = export_bundle(model, tmp_path / size)
    try:
        candidate = Segmenter.open(bundle, "openvino_bf16")
    except BackendError as error:
        pytest.skip(str(error))
    images, networks = photographs(count=1), ("encoder", "decoder")
    proof = compare(Segmenter.open(bundle, "openvino"), candidate, images, "bf16", networks=networks)
    assert proof.masks >= 20 and not proof.problem(), proof.summary
