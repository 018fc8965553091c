# SPDX-License-Identifier: Apache-2.0
"""Initialise a model with SAM's heads: prompt encoder and mask decoder of SAM ViT-H.

``python -m training.heads --sam FOLDER --model efficientvit_sam_l0 --encoder DISTILLED --out INIT`` joins
them with a distilled image encoder (section 3.2).
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load_file

from evitsam_ros.cli.outputs import check_outputs
from evitsam_ros.models import create_model
from evitsam_ros.models.registry import read_checkpoint

from .checkpoint import save_weights
from .command import run_command

if TYPE_CHECKING:
    from torch import Tensor

    from evitsam_ros.models.sam import Sam

#: Names of transformers' SamModel -> names of the official checkpoints, replaced in this order.
RENAMED = (
    (r"^shared_image_embedding\.positional_embedding$",
     "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
    (r"(mlps\.\d|iou_prediction_head)\.layers\.0\.", r"\1.layers.1."),
    (r"(mlps\.\d|iou_prediction_head)\.proj_in\.", r"\1.layers.0."),
    (r"(mlps\.\d|iou_prediction_head)\.proj_out\.", r"\1.layers.2."),
)  # fmt: skip


def heads_from_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return SAM's prompt encoder and mask decoder under the official names."""
    heads = {}
    for name, tensor in state.items():
        if name.startswith("vision_encoder.") or name.startswith("prompt_encoder.shared_embedding."):
            continue
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        heads[name] = tensor
    return heads


def take_heads(model: Sam, checkpoint: str | Path) -> None:
    """Copy prompt encoder, mask decoder, AutoPPN and box prior from another checkpoint, in place.

    Parts that ``model`` does not have are skipped.

    Raises:
        ValueError: the checkpoint lacks a head of ``model``, or its shapes differ.
    """
    names = [name for name in model.state_dict() if not name.startswith("image_encoder.")]
    state = read_checkpoint(checkpoint)
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"checkpoint {checkpoint} has no {', '.join(missing[:3])}")
    try:
        model.load_state_dict({name: state[name] for name in names}, strict=False)
    except RuntimeError as error:
        raise ValueError(f"checkpoint {checkpoint} does not fit {model.spec.name}: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sam", type=Path, required=True, help="folder of SAM in transformers' layout")
    parser.add_argument("--model", required=True, help="name in the registry")
    parser.add_argument("--encoder", type=Path, help="checkpoint of --model with a trained image encoder")
    parser.add_argument("--out", type=Path, required=True, help="safetensors to write")
    options = parser.parse_args(arguments)
    return run_command("heads", lambda: _write_heads(options))


def _write_heads(options: argparse.Namespace) -> int:
    check_outputs(options)
    model = create_model(options.model, options.encoder, decoder_mlp=2048)
    try:
        heads = heads_from_transformers(load_file(options.sam / "model.safetensors"))
        missing, unknown = model.load_state_dict(heads, strict=False)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(f"{options.sam}: expected SAM in transformers' layout ({error})") from error
    lacking = [name for name in missing if name.startswith(("prompt_encoder.", "mask_decoder."))]
    if lacking or unknown:
        raise ValueError(f"{options.sam} lacks {lacking[:3]} and has unknown {unknown[:3]}")
    save_weights(model.state_dict(), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
