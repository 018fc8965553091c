# SPDX-License-Identifier: Apache-2.0
"""``evitsam models``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add(commands) -> None:
    parser = commands.add_parser("models", help="the models, their size, and which are installed")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument(
        "--dense", action="store_true", help="classifiers, semantic segmentation and super-resolution instead"
    )


def run(options: argparse.Namespace) -> int:
    from ..bundle import installed_bundles
    from ..models.specs import SPECS

    installed = installed_bundles()
    if options.dense:
        return _list_dense(options.json, installed)
    rows = [
        {
            "name": spec.name,
            "params": spec.params,
            "encoder_macs": spec.macs,
            "input": spec.image_size,
            "embedding": list(spec.embedding),
            "proposals": spec.has_proposals,
            "installed": str(installed[spec.name]) if spec.name in installed else None,
        }
        for spec in SPECS.values()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'model':22} {'params':>9} {'encoder':>10} {'input':>6}  everything by  bundle")
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['encoder_macs'] / 1e9:.1f} G"
        by = "AutoPPN" if row["proposals"] else "grid"
        print(
            f"{row['name']:22} {params:>9} {macs:>10} {row['input']:>6}  {by:13}  {row['installed'] or '-'}"
        )
    return 0


def _list_dense(as_json: bool, installed: dict[str, Path]) -> int:
    from ..models.network_specs import NETWORK_SPECS

    rows = [
        {
            "name": spec.name,
            "kind": spec.kind,
            "params": spec.params,
            "macs": spec.macs,
            "input": list(spec.size),
            "classes": spec.classes,
            "installed": str(installed[spec.name]) if spec.name in installed else None,
        }
        for spec in NETWORK_SPECS.values()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'network':31} {'kind':8} {'params':>9} {'macs':>9} {'input':>9} classes  bundle")
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['macs'] / 1e9:.2f} G"
        size = "x".join(map(str, row["input"]))
        print(
            f"{row['name']:31} {row['kind']:8} {params:>9} {macs:>9} {size:>9} {row['classes'] or '-':>7}  "
            f"{row['installed'] or '-'}"
        )
    return 0
