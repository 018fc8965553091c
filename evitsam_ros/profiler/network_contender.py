# SPDX-License-Identifier: Apache-2.0
"""``python -m bench.network_rival RUNTIME MODEL``: every network of a bundle on one runtime."""

from __future__ import annotations

import sys
from functools import partial

from evitsam_ros.backends import BACKENDS
from evitsam_ros.bundle import open_bundle
from evitsam_ros.profiler.cpu import cases_of

from .turns import own_stdout, serve


def main(runtime: str, model: str) -> None:
    answers, bundle = own_stdout(), open_bundle(model)
    backend = BACKENDS[runtime]()
    networks = {name: backend.load(bundle, name, 0) for name in bundle.networks}
    ways = {
        case: partial(networks[name], inputs)
        for name, cases in cases_of(bundle).items()
        for case, inputs in cases
    }
    serve(ways, answers, {"version": backend.version()})


if __name__ == "__main__":
    main(*sys.argv[1:])
