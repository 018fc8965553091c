# SPDX-License-Identifier: Apache-2.0
"""``evitsam models``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .options import add_json

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from .options import JsonOutput


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("models", help="list the models, their size, and which are installed")
    add_json(parser)
    parser.add_argument(
        "--dense", action="store_true", help="list classifiers, semantic segmentation and super-resolution"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..bundle import installed_bundles
    from ..catalogue import CATALOGUE
    from ..models.published import PUBLISHED
    from ..models.specs import SPECS

    installed = installed_bundles()
    if options.dense:
        return _list_dense(options.json, installed)
    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "family": spec.family,
            "licence": spec.licence,
            "params": spec.params,
            "encoder_macs": spec.macs,
            "input": spec.image_size,
            "embedding": list(spec.embedding),
            "proposals": spec.has_proposals,
            "published": asdict(PUBLISHED[spec.name]) if spec.name in PUBLISHED else None,
            "installed": str(installed[spec.name]) if spec.name in installed else None,
            "fetch": f"evitsam fetch {spec.name}" if spec.name in CATALOGUE else None,
        }
        for spec in SPECS.values()
    ]
    if options.json:
        options.json.write(rows)
        if options.json.to_stdout:
            return 0
    print(
        f"{'model':22} {'family':16} {'licence':26} {'params':>9} {'encoder':>10} {'input':>6} "
        f"{'published':>13}  everything by  bundle, or the command that fetches it"
    )
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['encoder_macs'] / 1e9:.1f} G"
        by = "AutoPPN" if row["proposals"] else "grid"
        figure = str(PUBLISHED.get(row["name"], "-"))
        print(
            f"{row['name']:22} {row['family']:16} {row['licence']:26} {params:>9} {macs:>10} "
            f"{row['input']:>6} {figure:>13}  {by:13}  {row['installed'] or row['fetch'] or '-'}"
        )
    print(
        "published: the official weights on COCO val2017, by others: mAP with boxes of a ViTDet detector, "
        "box mIoU with people's boxes. For this project's weights see the MODEL_CARD.md of the bundle."
    )
    return 0


def _list_dense(json: JsonOutput | None, installed: dict[str, Path]) -> int:
    from ..catalogue import CATALOGUE
    from ..models.network_specs import NETWORK_SPECS

    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "params": spec.params,
            "macs": spec.macs,
            "input": list(spec.size),
            "classes": spec.classes,
            "installed": str(installed[spec.name]) if spec.name in installed else None,
            "fetch": f"evitsam fetch {spec.name}" if spec.name in CATALOGUE else None,
        }
        for spec in NETWORK_SPECS.values()
    ]
    if json:
        json.write(rows)
        if json.to_stdout:
            return 0
    print(
        f"{'network':31} {'kind':8} {'params':>9} {'macs':>9} {'input':>9} classes  "
        "bundle, or the command that fetches it"
    )
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['macs'] / 1e9:.2f} G"
        size = "x".join(map(str, row["input"]))
        print(
            f"{row['name']:31} {row['kind']:8} {params:>9} {macs:>9} {size:>9} {row['classes'] or '-':>7}  "
            f"{row['installed'] or row['fetch'] or '-'}"
        )
    return 0
