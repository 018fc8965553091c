# SPDX-License-Identifier: Apache-2.0
"""``evitsam export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .deprecated import take_positional_model
from .options import add_model, add_out


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("export", help="export a checkpoint as a bundle (needs torch)")
    take_positional_model(parser)
    add_model(parser, required=True, details="; export needs a name, also of 'evitsam models --dense'")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="PATH", help=".pt or .safetensors file (default: random weights)"
    )
    add_out(parser, "the folder of the bundle", required=True)
    parser.add_argument(
        "--storage", choices=("fp32", "fp16"), default="fp32", help="precision of the stored weights"
    )
    parser.add_argument(
        "--decoder-form",
        choices=("plain", "shared", "folded"),
        default="folded",
        help="how much image-only work is moved out of the decoder; all compute the same (default: folded)",
    )
    parser.add_argument("--with-weights", action="store_true", help="also write model.safetensors")
    parser.add_argument(
        "--image-size",
        type=_size,
        metavar="SIDE|HxW",
        help="size of the network input in pixels, multiples of 32; semantic and upscale: HEIGHTxWIDTH "
        "(default: that of the model)",
    )
    parser.add_argument(
        "--box-prior",
        action="store_true",
        default=None,
        help="add a box prior to a checkpoint that has none: box prompts start as rounded boxes",
    )
    parser.add_argument(
        "--metadata",
        type=Path,
        metavar="PATH",
        help="YAML file with licence, weights, quality, thresholds, proposals_as, expected_iou for "
        "model.yaml; or the model.yaml of a similar bundle, from which only the last three are taken",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..models.network_specs import NETWORK_SPECS

    common = {
        "storage": options.storage,
        "with_weights": options.with_weights,
        "extra": _read_metadata(options.metadata),
    }
    size = options.image_size
    if options.model in NETWORK_SPECS:
        from ..dense_export import export_network

        folder = export_network(options.model, options.checkpoint, options.out, size=size, **common)
    else:
        from ..export import export
        from ..models.specs import APACHE, model_spec

        if size is not None and size[0] != size[1]:
            raise ValueError(f"--image-size: {options.model} takes squares; give one side, not {size}")
        folder = export(
            options.model,
            options.checkpoint,
            options.out,
            decoder_form=options.decoder_form,
            box_prior=options.box_prior,
            image_size=None if size is None else size[0],
            **common,
        )
        licence = model_spec(options.model).licence
        if licence != APACHE:
            print(f"licence of {options.model}: {licence}", file=sys.stderr)
    if options.checkpoint is None:
        print("warning: no --checkpoint: the weights are random", file=sys.stderr)
    print(folder)
    return 0


def _size(text: str) -> tuple[int, int]:
    """Parse ``SIDE`` or ``HEIGHTxWIDTH`` as (H, W)."""
    height, _, width = text.partition("x")
    try:
        return int(height), int(width or height)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not SIDE or HEIGHTxWIDTH") from error


def _read_metadata(path: Path | None) -> dict:
    import yaml

    from ..bundle_schema import SCHEMA, find_fault

    if path is None:
        return {}
    try:
        description = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    usage = ("thresholds", "proposals_as", "expected_iou")
    allowed = {"licence", "weights", "quality", *usage}
    if isinstance(description, dict) and "networks" in description:  # a bundle's: how it is used, not its own
        return {key: description[key] for key in usage if key in description}
    if not isinstance(description, dict) or set(description) - allowed:
        raise ValueError(f"{path}: expected a mapping with some of {', '.join(sorted(allowed))}")
    if fault := find_fault(description, {"properties": {key: SCHEMA["properties"][key] for key in allowed}}):
        raise ValueError(f"{path}: {fault}")
    return description
