# SPDX-License-Identifier: Apache-2.0
"""``python -m evitsam_ros.profiler.network_contender RUNTIME MODEL THREADS``: all networks of a bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from ..backends import BACKENDS, BackendError
from ..bundle import open_bundle
from .interleaving import own_stdout, serve
from .network_inputs import cases_of


def main(runtime: str, model: str, threads: str) -> None:
    answers, bundle = own_stdout(), open_bundle(model)
    backend = BACKENDS[runtime]()
    try:
        networks = {name: backend.load(bundle, name, int(threads)) for name in bundle.networks}
    except BackendError as error:
        sys.exit(str(error))
    variants: dict[str, Callable[[], object]] = {
        case: partial(networks[name], inputs)
        for name, cases in cases_of(bundle).items()
        for case, inputs in cases
    }
    serve(variants, answers, {"version": backend.version()})


if __name__ == "__main__":
    main(*sys.argv[1:])
