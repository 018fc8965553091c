# SPDX-License-Identifier: Apache-2.0
"""Every model is built, run and counted against the published tables."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from evitsam_ros.models import SPECS, create_model, list_models, model_spec, published
from evitsam_ros.models.multi_scale_pooling import MultiScalePooling

#: Millions of parameters and billions of multiply-adds of the encoder, as published; tensors in the state
#: dict of the official checkpoints. SAM's multiply-adds are those of TinySAM's authors.
PUBLISHED = {
    "efficientvit_sam_l0": (34.79, 34.7, 409),
    "efficientvit_sam_l1": (47.65, 48.9, 515),
    "efficientvit_sam_l2": (61.33, 68.4, 645),
    "efficientvit_sam_xl0": (116.96, 184.5, 455),
    "efficientvit_sam_xl1": (203.35, 321.2, 701),
    "sam_vit_b": (93.74, 487.0, 314),
    "sam_vit_l": (312.34, 1491.0, 482),
    "sam_vit_h": (641.1, 2976.0, 594),
    "lite_sam": (4.23, 10.9, None),
    "lite_sam_x2": (None, 22.3, None),
    "lite_sam_x3": (None, 38.0, None),
}
#: The same of this project's own models, counted by this test when they were made.
OURS = {
    "efficientnet_sam_lite0": (7.06, 5.08, None),
    "efficientnet_sam_lite1": (7.82, 6.04, None),
    "efficientnet_sam_lite2": (8.46, 6.65, None),
}
#: The same of models whose papers count otherwise, see the two tests of SAM's family below.
COUNTED = {
    "mobile_sam": (9.81, 38.8, None),
    "tiny_sam": (9.81, 38.8, None),
    "repvit_sam": (27.22, 113.3, 1598),
    "edge_sam": (9.58, 20.0, 821),
}
#: Billions of multiply-adds of encoder and one prompt without the products of attention, as EdgeSAM's
#: authors publish them.
WITHOUT_ATTENTION = {"sam_vit_h": 2734.8, "mobile_sam": 38.2, "edge_sam": 22.1}
#: Encoder parameters of the three LiteViTs, table 1 of the Lite-SAM paper.
LITE_VIT = {"lite_sam": 1.16, "lite_sam_x2": 2.19, "lite_sam_x3": 3.63}


def count(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_registry_is_complete():
    assert set(list_models()) == set(PUBLISHED) | set(OURS) | set(COUNTED) == set(SPECS)


@pytest.mark.parametrize("name", [*PUBLISHED, *OURS, *COUNTED])
def test_model_runs_and_meets_the_published_counts(name, monkeypatch):
    # The papers' counters see no multiply-adds in a pool: count the mixer by its 3x3 convolution alone.
    monkeypatch.setattr(MultiScalePooling, "forward", lambda self, x: self.local(x))
    params, macs, tensors = (PUBLISHED | OURS | COUNTED)[name]
    # On the meta device every operation runs on shapes alone: the large models cost nothing.
    with torch.device("meta"):
        model = create_model(name)
    spec = model.spec
    image = torch.empty(1, 3, spec.image_size, spec.image_size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        embedding, high_res = model.embed(image)
    assert embedding.shape == (1, *spec.embedding)
    assert tuple(feature.shape[1:] for feature in high_res) == spec.high_res
    assert counter.get_total_flops() / 2e9 == pytest.approx(macs, rel=0.01)
    assert spec.macs / 1e9 == pytest.approx(macs, rel=0.01)
    if params:
        assert count(model) == pytest.approx(params, rel=0.01)
        assert spec.params / 1e6 == pytest.approx(count(model), rel=0.01)
    if name in LITE_VIT:
        assert count(model.image_encoder) == pytest.approx(LITE_VIT[name], rel=0.01)
    if tensors:
        assert len(model.state_dict()) == tensors
    with torch.no_grad():
        masks, iou = model.decode(
            embedding,
            torch.zeros(2, 3, 2, device="meta"),
            torch.ones(2, 3, device="meta"),
            torch.zeros(1, 1, *spec.mask_size, device="meta"),
            torch.zeros(1, device="meta"),
            high_res,
        )
    assert masks.shape == (2, 4, *spec.mask_size)
    assert iou.shape == (2, 4)
    if spec.has_proposals:
        heat, boxes = model.auto_ppn(embedding)
        assert heat.shape == (1, 1, *spec.mask_size)
        assert boxes.shape == (1, 4, *spec.mask_size)


@pytest.mark.parametrize("name", WITHOUT_ATTENTION)
def test_sam_family_meets_the_counts_that_leave_attention_out(name):
    with torch.device("meta"):
        model = create_model(name)
        prompt = torch.zeros(1, 2, 2), torch.ones(1, 2), torch.zeros(1, 1, 256, 256), torch.zeros(1)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.decode(model.embed(torch.empty(1, 3, 1024, 1024))[0], *prompt)
    counts = {str(operator): flops for operator, flops in counter.get_flop_counts()["Global"].items()}
    macs = sum(flops for name, flops in counts.items() if "bmm" not in name and "attention" not in name) / 2e9
    # Published counters see small operations too: norms, an interpolation.
    assert macs == pytest.approx(WITHOUT_ATTENTION[name], rel=0.015)


@pytest.mark.parametrize("name", ["sam_vit_b", "sam_vit_l", "sam_vit_h"])
def test_encoders_of_sam_have_the_published_parameters(name):
    published = {"sam_vit_b": 89.67, "sam_vit_l": 308.28, "sam_vit_h": 637.03}
    with torch.device("meta"):
        assert count(create_model(name).image_encoder) == pytest.approx(published[name], abs=0.005)


def test_heads_have_the_parameters_of_sam():
    """6,220 trainable parameters in SAM's prompt encoder, 4,058,340 in its mask decoder."""
    with torch.device("meta"):
        model = create_model("efficientvit_sam_l0")
    assert sum(p.numel() for p in model.prompt_encoder.parameters()) == 6_220
    assert sum(p.numel() for p in model.mask_decoder.parameters()) == 4_058_340


def test_auto_ppn_attaches_to_efficientvit_sam():
    with torch.device("meta"):
        model = create_model("efficientvit_sam_l0", auto_ppn=True)
        heat, boxes = model.auto_ppn(torch.empty(1, 256, 64, 64))
    assert heat.shape == (1, 1, 256, 256)
    assert boxes.shape == (1, 4, 256, 256)


def test_decoder_mlp_is_selectable():
    with torch.device("meta"):
        slim, stock = create_model("lite_sam"), create_model("lite_sam", decoder_mlp=2048)
    assert slim.mask_decoder.transformer.layers[0].mlp.lin1.out_features == 1024
    assert count(stock) == pytest.approx(5.28, rel=0.01)


def test_every_normalisation_has_the_official_epsilon():
    for name in ("efficientvit_sam_l0", "efficientvit_sam_xl0", "lite_sam"):
        with torch.device("meta"):
            model = create_model(name)
        norms = [m for m in model.modules() if "Norm" in type(m).__name__ and hasattr(m, "eps")]
        assert len(norms) > 20
        assert {norm.eps for norm in norms} == {1e-6}


def test_unknown_model_names_the_choices():
    with pytest.raises(ValueError, match=r"lite_sam_x9.*efficientvit_sam_l0"):
        create_model("lite_sam_x9")
    with pytest.raises(ValueError, match="unknown"):
        model_spec("sam")


def test_every_official_model_has_a_published_figure():
    """SAM's own is the one that EfficientViT-SAM says its models reach (46.5 against 45.7 to 47.8)."""
    official = {name for name, spec in SPECS.items() if spec.is_official}
    assert set(published.PUBLISHED) == official
    assert str(published.PUBLISHED["sam_vit_h"]) == "46.5 mAP"
    sizes = [
        published.PUBLISHED[f"efficientvit_sam_{size}"].value for size in ("l0", "l1", "l2", "xl0", "xl1")
    ]
    assert sizes == sorted(sizes)
