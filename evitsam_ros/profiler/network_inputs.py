# SPDX-License-Identifier: Apache-2.0
"""Every network of a bundle on every installed CPU runtime, interleaved in one run."""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from ..backends import BACKENDS, BackendError
from ..bundle import HIGH_RES, Bundle, open_bundle
from ..segment.fovea import Views
from ..segment.transform import Transform

if TYPE_CHECKING:
    from ..cli.options import JsonOutput


def cases_of(bundle: Bundle) -> dict[str, list[tuple[str, dict[str, np.ndarray]]]]:
    """By network: the name of each call that is timed, and its inputs, the same ones every time."""
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 3, bundle.image_size, bundle.image_size), np.float32)
    embedding = rng.standard_normal((1, *bundle.embedding), np.float32)
    high_res = {
        name: rng.standard_normal((1, *shape), np.float32)
        for name, shape in zip(HIGH_RES, bundle.high_res_feats, strict=False)
    }

    def prompts(count: int) -> dict[str, np.ndarray]:
        return {
            "image_embeddings": embedding,
            **high_res,
            "point_coords": rng.uniform(0, bundle.prompt_size, (count, 2, 2)).astype(np.float32),
            "point_labels": np.tile(np.float32([2, 3]), (count, 1)),
            "mask_input": np.zeros((1, 1, *bundle.mask_size), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
        }

    def foveal(count: int) -> dict[str, np.ndarray]:
        given = {name: values for name, values in prompts(count).items() if "mask" not in name}
        size = (bundle.prompt_size * 3 // 4, bundle.prompt_size)  # a picture of 4 to 3
        transform = Transform.of(bundle, size)
        return {**given, "cells": Views.around(given["point_coords"][:, 0], transform).cells()}

    cases = {
        "encoder": [("encoder", {"image": image})],
        "decoder": [(f"decoder, {n} prompts" if n > 1 else "decoder, 1 prompt", prompts(n)) for n in (1, 16)],
        "proposals": [("proposals", {"image_embeddings": embedding})],
        "foveal_decoder": [(f"foveal decoder, {n} prompts", foveal(n)) for n in (16, 64)],
    }
    return {name: cases[name] for name in bundle.networks}


def measure(bundle: Bundle, repeats: int, threads: int) -> list[dict]:
    """Median and quartiles in milliseconds of every case on every runtime, measured in turns."""
    runners = {}
    for name, backend in BACKENDS.items():
        try:
            loaded = backend()
            if loaded.version():
                runners[name] = {
                    network: loaded.load(bundle, network, threads) for network in bundle.networks
                }
        except BackendError:
            continue  # the torch backend needs weights that a bundle may come without
    rows = []
    for network, cases in cases_of(bundle).items():
        for case, inputs in cases:
            times: dict[str, list[float]] = {name: [] for name in runners}
            for repeat in range(repeats + 2):
                for name, networks in runners.items():
                    start = time.perf_counter()
                    networks[network](inputs)
                    if repeat >= 2:  # two rounds to warm up
                        times[name].append((time.perf_counter() - start) * 1e3)
            for name, values in times.items():
                low, median, high = statistics.quantiles(values, n=4)
                rows.append({"case": case, "runtime": name, "ms": median, "quartiles": [low, high]})
    return rows


def bench(model: str, repeats: int, threads: int, out: JsonOutput | None) -> int:
    """Print the table, and write it as JSON where asked."""
    bundle = open_bundle(model)
    rows = measure(bundle, max(repeats, 4), threads)
    print(f"{bundle.name} on {platform.machine()}, {repeats} repeats, median [quartiles]")
    for row in rows:
        low, high = row["quartiles"]
        print(f"{row['case']:22} {row['runtime']:12} {row['ms']:8.1f} ms  [{low:.1f}, {high:.1f}]")
    if out:
        out.write({"model": bundle.name, "rows": rows})
    return 0
