# SPDX-License-Identifier: Apache-2.0
"""From ``timm``'s names of an EfficientViT to the official ones; the tensors are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: A key that every EfficientViT of ``timm`` has and no official checkpoint.
STEM = "stem.in_conv.conv.weight"
_HEAD = {
    "head.in_conv.": "head.op_list.0.",
    "head.classifier.0.": "head.op_list.2.linear.",
    "head.classifier.1.": "head.op_list.2.norm.",
    "head.classifier.4.": "head.op_list.3.linear.",
}


def is_timm(state: dict[str, Tensor]) -> bool:
    """Return whether a state dict has ``timm``'s names."""
    return STEM in state


def official_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a state dict of ``timm``'s ``efficientvit_b*`` or ``efficientvit_l*``.

    Raises:
        ValueError: naming a key that none of these networks has.
    """
    # Only the L series has plain convolutions in its stem.
    large = any(key.startswith("stem.res0.main.conv1.") for key in state)
    return {_official(key, large): tensor for key, tensor in state.items()}


def _official(key: str, large: bool) -> str:
    part, _, rest = key.partition(".")
    if part == "stem":
        layer, _, rest = rest.partition(".")
        number = 0 if layer == "in_conv" else int(layer.removeprefix("res")) + 1
        return f"backbone.{'stages.0' if large else 'input_stem'}.op_list.{number}.{rest}"
    if part == "stages":
        stage, _, rest = rest.partition(".blocks.")
        return f"backbone.stages.{int(stage) + large}.op_list.{rest}"
    for theirs, official in _HEAD.items():
        if key.startswith(theirs):
            return official + key.removeprefix(theirs)
    raise ValueError(f"{key} is no key of timm's EfficientViT")
