# SPDX-License-Identifier: Apache-2.0
"""``evitsam export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .deprecated import take_positional_model
from .options import add_model, add_out


def add(commands) -> None:
    parser = commands.add_parser("export", help="export a checkpoint as a bundle (needs torch)")
    take_positional_model(parser)
    add_model(parser, required=True, details="; export needs a name")
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
        type=int,
        metavar="PIXELS",
        help="side of the network input, a multiple of 32 (default: that of the model)",
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
    from ..export import export
    from ..models.specs import APACHE, model_spec

    folder = export(
        options.model,
        options.checkpoint,
        options.out,
        storage=options.storage,
        decoder_form=options.decoder_form,
        box_prior=options.box_prior,
        image_size=options.image_size,
        with_weights=options.with_weights,
        extra=_read_metadata(options.metadata),
    )
    if options.checkpoint is None:
        print("warning: no --checkpoint: the weights are random", file=sys.stderr)
    licence = model_spec(options.model).licence
    if licence != APACHE:
        print(f"licence of {options.model}: {licence}", file=sys.stderr)
    print(folder)
    return 0


def _read_metadata(path: Path | None) -> dict:
    import yaml

    if path is None:
        return {}
    try:
        description = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    usage = ("thresholds", "proposals_as", "expected_iou")
    allowed = {"licence", "weights", "quality", *usage}
    if isinstance(description, dict) and "networks" in description:  # a bundle's: how it is used, not its own
        return {key: description[key] for key in usage if key in description}
    if not isinstance(description, dict) or set(description) - allowed:
        raise ValueError(f"{path}: expected a mapping with some of {', '.join(sorted(allowed))}")
    return description
