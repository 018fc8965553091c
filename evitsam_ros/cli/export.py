# SPDX-License-Identifier: Apache-2.0
"""``evitsam export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(commands) -> None:
    parser = commands.add_parser("export", help="checkpoint -> bundle (needs torch)")
    parser.add_argument("model", help="a name that 'evitsam models' lists")
    parser.add_argument("--checkpoint", type=Path, help=".pt or .safetensors; random weights without one")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--storage", choices=("fp32", "fp16"), default="fp32", help="of the weights in the files"
    )
    parser.add_argument("--decoder-form", choices=("plain", "shared", "folded"), default="folded")
    parser.add_argument("--with-weights", action="store_true", help="also write model.safetensors")
    parser.add_argument(
        "--image-size", type=int, help="side of the input in pixels, a multiple of 32 (default: the model's)"
    )
    parser.add_argument(
        "--box-prior",
        action="store_true",
        default=None,
        help="give a checkpoint without one a box prior: boxes start as rounded boxes",
    )
    parser.add_argument(
        "--describe",
        type=Path,
        help="YAML with licence, weights, quality, thresholds, proposals_as, expected_iou for model.yaml; or "
        "the model.yaml of a bundle like it, of which it takes the last three",
    )


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
        extra=_read_description(options.describe),
    )
    if options.checkpoint is None:
        print("warning: no --checkpoint: the weights are random", file=sys.stderr)
    licence = model_spec(options.model).licence
    if licence != APACHE:
        print(f"licence of {options.model}: {licence}", file=sys.stderr)
    print(folder)
    return 0


def _read_description(path: Path | None) -> dict:
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
