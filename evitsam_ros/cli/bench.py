# SPDX-License-Identifier: Apache-2.0
"""``evitsam bench``."""

from __future__ import annotations

import argparse

from .options import add_everything, add_images, add_json, add_model, add_runs, add_threads


def add(commands) -> None:
    parser = commands.add_parser("bench", help="compare the installed runtimes on this machine")
    add_model(parser)
    add_everything(parser, ": compare it with grids of prompts, and a box prompt with its lower bound")
    add_images(parser, "example", "a photograph of the package; bench takes the first image")
    add_runs(parser, 20)
    add_threads(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ..profiler.cpu import bench

    if options.everything:
        return _bench_everything(options)
    return bench(options.model, options.runs, options.threads, options.json)


def _bench_everything(options: argparse.Namespace) -> int:
    import numpy as np

    from ..bundle import open_bundle
    from ..models.specs import model_spec
    from ..profiler.everything import bench_everything
    from ..sources import open_source

    frame = next(open_source(options.images[0], loop=False))
    image = np.ascontiguousarray(frame[..., ::-1])
    # Decoding one prompt adds about 5 % to the work of the encoder; the lower bound leaves it out.
    macs = model_spec(open_bundle(options.model).name).macs
    return bench_everything(options.model, image, options.runs, macs, options.json)
