# SPDX-License-Identifier: Apache-2.0
"""Run ``evitsam build | verify | engines``; :mod:`evitsam_ros.cli.build` defines their options."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from ..bundle import Bundle, sha256
from ..dense.bundle import open_by_kind
from ..io.sources import open_source, spread

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from .build import Report


def _images(options: argparse.Namespace) -> list[np.ndarray]:
    frames = chain.from_iterable(open_source(source, loop=False) for source in options.images)
    return [np.ascontiguousarray(frame[..., ::-1]) for frame in spread(frames, options.count)]


def run_build(options: argparse.Namespace) -> int:
    """Run ``evitsam build``; return the exit code."""
    from ..backends.gpu import find_gpu
    from ..backends.tensorrt.api import find_tensorrt
    from ..backends.tensorrt.engine_cache import EngineCache
    from .build import Options, build, plan, resolve_target

    bundle = open_by_kind(options.model)
    tensorrt, gpu = find_tensorrt(options.tensorrt), find_gpu()
    build_options = Options(
        options.precision,
        options.target,
        options.prompts,
        points=options.points,
        batch=max(options.batch),
        rewrite=options.rewrite,
    )
    target, runs = resolve_target(build_options.target, tensorrt, gpu)
    print(f"{bundle.name}, {build_options.precision}, {tensorrt.name}, for {target}")
    cache = EngineCache()
    plans = plan(bundle, build_options, tensorrt, gpu)
    if options.dry_run:
        for p in plans:
            found, reason = cache.find(p.key)
            print(f"{p.network:14} {'is in the cache' if found else f'would be built: {reason}'}")
            for shapes in p.profiles:
                kind = "prompts" if "point_labels" in shapes else "images"
                low, _, high = shapes.get("point_labels") or shapes["image"]
                tokens = f" of {low[1]}..{high[1]} tokens" if kind == "prompts" else ""
                print(f"{'':14} {kind} {low[0]}..{high[0]}{tokens}")
        return 0
    make: Callable[..., Report] = build
    if options.via == "torch2trt":
        from .torch2trt_builder import build_with_torch2trt, find_torch2trt

        if not isinstance(bundle, Bundle):
            raise ValueError(f"--via torch2trt is for promptable bundles; {bundle.name} is of another kind")
        find_torch2trt(tensorrt, gpu)
        make = build_with_torch2trt
    with _ProgressBar() as bar:
        report = make(bundle, build_options, tensorrt, gpu, _images(options), cache, bar.show)
    if options.layers:
        _print_layers(report)
    proof = report.proof
    print(proof.summary)
    for network, path in report.engines.items():
        islands = len(report.islands.get(network, ()))
        print(f"{network:14} {path.stat().st_size / 1e6:6.1f} MB, {islands} nodes in float32  {path}")
    if not runs:
        print(f"Built, not run: there is no {target} here. The results are those of the emulated graphs.")
    return 0


class _ProgressBar:
    """A progress bar with the phase; lines on stderr without tqdm."""

    def __enter__(self) -> _ProgressBar:
        try:
            from tqdm import tqdm

            self.bar = tqdm(
                bar_format="{desc:28} {bar} {n_fmt}/{total_fmt} {elapsed}", total=1, leave=False, disable=None
            )
        except ImportError:
            self.bar = None
        self.phase = ""
        return self

    def show(self, phase: str, done: int, total: int) -> None:
        """Show the progress of a phase."""
        if self.bar is not None:
            self.bar.set_description_str(phase, refresh=False)
            self.bar.total, self.bar.n = total, done
            self.bar.refresh()
        elif phase != self.phase:
            print(phase, file=sys.stderr)
        self.phase = phase

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()


def _print_layers(report) -> None:
    print(f"{'layer':64} {'operator':20} {'error':>9} {'largest':>10} {'broken':>7}")
    for network, errors in report.errors.items():
        for e in errors:
            kept = " float32" if e.name in report.islands[network] else ""
            name = f"{network}{e.name}"[-64:]
            print(f"{name:64} {e.operator:20} {e.error:9.1e} {e.largest:10.3g} {e.broken:7d}{kept}")


def run_verify(options: argparse.Namespace) -> int:
    """Run ``evitsam verify``; return the exit code.

    Raises:
        ValueError: the masks differ from those in float32.
    """
    from ..backends import PRECISIONS, open_runtime
    from .dense_validation import prove

    bundle = open_by_kind(options.model)
    runtime = open_runtime(bundle, options.backend)
    print(runtime.description)
    precision = options.precision
    if precision == "auto":
        precision = max((facts["precision"] for facts in runtime.info().values()), key=PRECISIONS.index)
    proof = prove(bundle, runtime, _images(options), precision, ran=True)
    print(f"{'network':12} {'cosine':>12} {'largest error':>14} {'not finite':>11}")
    for name, network in proof.networks.items():
        print(f"{name:12} {network.cosine:12.8f} {network.largest_error:14.2e} {network.broken:11d}")
    print(proof.summary)
    if options.json:
        options.json.write(proof.as_dict())
    if problem := proof.problem():
        raise ValueError(problem)
    return 0


def trust(options: argparse.Namespace, cache) -> Path:
    """Store a foreign engine as if it had been built here; its sidecar marks it as unproved.

    Raises:
        ValueError: the model or the network is missing or unknown.
    """
    from ..backends.gpu import find_gpu
    from ..backends.tensorrt.api import find_tensorrt
    from ..backends.tensorrt.engine_cache import TRUSTED, EngineKey
    from .build import resolve_target

    name, _, network = (options.network or "").rpartition(":")
    if not name:
        raise ValueError("--trust needs --network MODEL:NETWORK, as lite_sam:encoder")
    bundle = open_by_kind(name)
    if network not in bundle.networks:
        raise ValueError(f"{name} has no network {network!r}; expected one of {', '.join(bundle.networks)}")
    tensorrt = find_tensorrt()
    target, _ = resolve_target(options.target, tensorrt, find_gpu())
    onnx, flags = sha256(bundle.networks[network]), (TRUSTED,)
    key = EngineKey(bundle.name, network, onnx, tensorrt.name, target, options.precision, flags=flags)
    return cache.store(key, options.trust.read_bytes(), {"proof": "none: trusted by hand"})


def run_engines(options: argparse.Namespace) -> int:
    """Run ``evitsam engines``; return the exit code."""
    from ..backends.tensorrt.engine_cache import EngineCache

    cache = EngineCache()
    if options.trust:
        print(f"trusted: {trust(options, cache)}")
    if options.prune:
        for path in cache.prune():
            print(f"removed {path}")
    entries = cache.entries()
    if options.json:
        options.json.write([{"engine": str(e.engine), "problem": e.problem, **e.key} for e in entries])
        if options.json.to_stdout:
            return 0
    for entry in entries:
        key = entry.key
        runtime = f"{key['runtime']}, {key['target']}" if key else ""
        print(f"{entry.engine.name:56} {entry.size / 1e6:7.1f} MB  {entry.problem or runtime}")
    print(f"{len(entries)} engines in {cache.folder}")
    return 0
