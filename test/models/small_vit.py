# SPDX-License-Identifier: Apache-2.0
"""SAM's ViT, small enough for tests."""

import torch

from evitsam_ros.models.sam_vit import SamVit, VitSize


def small_vit() -> SamVit:
    """A ViT with a block of windows and a global one, whose positions matter."""
    vit = SamVit(VitSize(64, 2, 2, (1,)))
    for name, parameter in vit.named_parameters():
        if "pos" in name:
            torch.nn.init.normal_(parameter)
    return vit
