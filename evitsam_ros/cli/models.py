# SPDX-License-Identifier: Apache-2.0
"""``evitsam models``."""

from __future__ import annotations

import argparse

from .options import add_json


def add(commands) -> None:
    parser = commands.add_parser("models", help="list the models, their size, and which are installed")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..bundle import installed_bundles
    from ..models.specs import SPECS

    installed = installed_bundles()
    rows = [
        {
            "name": spec.name,
            "family": spec.family,
            "licence": spec.licence,
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
        options.json.write(rows)
        if options.json.to_stdout:
            return 0
    print(
        f"{'model':22} {'family':16} {'licence':26} {'params':>9} {'encoder':>10} {'input':>6}  everything by"
        "  bundle"
    )
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['encoder_macs'] / 1e9:.1f} G"
        by = "AutoPPN" if row["proposals"] else "grid"
        print(
            f"{row['name']:22} {row['family']:16} {row['licence']:26} {params:>9} {macs:>10} "
            f"{row['input']:>6}  {by:13}  {row['installed'] or '-'}"
        )
    return 0
