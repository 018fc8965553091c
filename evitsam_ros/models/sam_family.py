# SPDX-License-Identifier: Apache-2.0
"""The image encoders of SAM's family by their specification, and the names in their official checkpoints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from .specs import ModelSpec

ENCODER = "image_encoder."
#: Parts of some of EdgeSAM's checkpoints: its region proposals, which are not used here.
UNUSED_PARTS = ("rpn_head.", "fpn.")
_log = logging.getLogger(__name__)


def sam_encoder(spec: ModelSpec) -> nn.Module:
    """Build the image encoder of a model of SAM's family, with random weights."""
    if spec.family == "sam":
        from .sam_vit import SamVit

        return SamVit(spec.name.removeprefix("sam_"))
    if spec.family in ("repvit_sam", "edge_sam"):
        from .repvit import RepVitEncoder

        return RepVitEncoder(spec.backbone, pyramid=spec.family == "edge_sam")
    from .tiny_vit import TinyVitEncoder

    return TinyVitEncoder(spec.backbone)


def our_state(encoder: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of a checkpoint to the names of this package.

    Official names of an encoder of ``timm``'s layers are translated, others stay. Unused tensors are dropped,
    and a warning names them.
    """
    if not hasattr(encoder, "our_name"):
        return state
    our_name = cast("Callable[[str], str | None]", encoder.our_name)
    ours, unused = {}, []
    for name, tensor in state.items():
        inner = name.removeprefix(ENCODER)
        translated = our_name(inner) if inner != name else inner
        if name.startswith(UNUSED_PARTS):
            translated = None
        if translated is None:
            unused.append(name)
        else:
            ours[name[: len(name) - len(inner)] + translated] = tensor
    if unused:
        _log.warning("the checkpoint has weights that are not used: %s", ", ".join(sorted(unused)))
    return ours
