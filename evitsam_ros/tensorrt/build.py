# SPDX-License-Identifier: Apache-2.0
"""Build the engines of a bundle: precision into the graph, proof of the masks, build, cache.

The graphs are proved before the build, with every rounding emulated. On the target GPU the engines also run
and are proved. Without that GPU, TensorRT-RTX builds for a named target, and the engine is marked as built
but not run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..backends.tensorrt.api import TensorRt, TensorRtError
from ..backends.tensorrt.engine_cache import EngineCache, EngineKey
from ..bundle import DENSE_NETWORK, NETWORKS, sha256
from ..segment.prompt import MAX_POINTS
from .dense_validation import feeds_for, prove
from .engine_builder import build_engine
from .fp32_fallback import choose_islands
from .int8 import calibrate, quantize
from .onnx_types import load_graph
from .precision import convert
from .profiles import Shapes, profiles_for
from .rewrites import rewrite
from .rounding import NodeError, emulate, node_errors
from .validate import Proof, ValidationError, graphs_runtime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from onnx import ModelProto

    from ..autotune.dense_proof import DenseProof
    from ..backends.gpu import Gpu
    from ..dense.bundle import AnyBundle

#: Called with (phase, done, total) during a build.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class NetworkPlan:
    """A planned engine: its ONNX file, optimisation profiles (input -> min, opt, max), and key."""

    network: str
    onnx: Path
    profiles: tuple[Shapes, ...]
    key: EngineKey


@dataclass(frozen=True)
class Options:
    """The options of a build.

    Attributes:
        precision: ``fp32``, ``fp16``, ``bf16``, or ``int8`` (convolutions of encoder and AutoPPN except
            depthwise ones; the rest is fp16).
        target: a compute capability (``sm86``), or ``auto``: the GPU of this machine.
        prompts: ranges of prompts per decoder call, one profile each.
        points: max points per prompt, not counting corners or padding.
        batch: max images per encoder call; the engine is tuned for one.
        rewrite: scale values that leave the range of half precision, see
            :mod:`~evitsam_ros.tensorrt.rewrites`; islands remain for values that still break.
    """

    precision: str = "fp16"
    target: str = "auto"
    prompts: tuple[tuple[int, int], ...] = ((1, 16), (64, 256))
    points: int = MAX_POINTS
    batch: int = 1
    rewrite: bool = False

    @property
    def half(self) -> str:
        """Return the precision of the nodes that are not int8."""
        return "fp16" if self.precision == "int8" else self.precision


@dataclass
class Report:
    """The result of a build: engines by network, the proof, and errors and islands by network."""

    engines: dict[str, Path]
    proof: Proof | DenseProof
    errors: dict[str, list[NodeError]] = field(default_factory=dict)
    islands: dict[str, frozenset[str]] = field(default_factory=dict)


def resolve_target(target: str, tensorrt: TensorRt, gpu: Gpu | None) -> tuple[str, bool]:
    """Return the key's target, and whether this machine can run it.

    Raises:
        TensorRtError: there is no such GPU, or this TensorRT cannot build for it.
    """
    if target == "auto":
        if gpu is None:
            known = ", ".join(tensorrt.targets())
            raise TensorRtError(
                "no GPU found on this machine: name the target GPU, "
                + (f"--target {{{known}}}" if known else f"which {tensorrt.name} cannot; TensorRT-RTX can")
            )
        return f"{gpu.name} {gpu.target}", True
    if gpu is not None and gpu.target == target:
        return f"{gpu.name} {gpu.target}", True
    if target not in tensorrt.targets():
        known = ", ".join(tensorrt.targets()) or "the GPU of this machine alone"
        raise TensorRtError(f"{tensorrt.name} does not build for {target!r}; it builds for {known}")
    return target, False


def plan(bundle: AnyBundle, options: Options, tensorrt: TensorRt, gpu: Gpu | None) -> list[NetworkPlan]:
    """Plan the engines of a bundle."""
    target, _ = resolve_target(options.target, tensorrt, gpu)
    plans = []
    for network, onnx in bundle.networks.items():
        profiles = profiles_for(bundle, network, options.prompts, options.points, options.batch)
        key = EngineKey(
            model=bundle.name,
            network=network,
            onnx=sha256(onnx),
            runtime=tensorrt.name,
            target=target,
            precision=options.precision,
            profiles=tuple(tuple(sorted(p.items())) for p in profiles),
            flags=("rewrite",) if options.rewrite else (),
        )
        plans.append(NetworkPlan(network, onnx, profiles, key))
    return plans


def build(
    bundle: AnyBundle,
    options: Options,
    tensorrt: TensorRt,
    gpu: Gpu | None,
    images: Sequence[np.ndarray],
    cache: EngineCache,
    progress: Progress = lambda phase, done, total: None,
) -> Report:
    """Build, prove and store the engines of a bundle.

    Raises:
        TensorRtError: the target or the precision cannot be built.
        ValidationError: the masks differ; no engine is stored.
    """
    plans = plan(bundle, options, tensorrt, gpu)
    report = Report({}, Proof(options.precision, 0, 0.0, 0.0))
    graphs = graphs_in_precision(bundle, options, images, report, progress)
    progress("proving the masks", 0, 1)
    report.proof = prove_emulated(bundle, graphs, options, report.islands, images)
    if problem := report.proof.problem():
        raise ValidationError(f"{bundle.name} in {options.precision}: {problem}; {_first_difference(report)}")
    target = _target_or_none(options, gpu)
    converted, engines = {}, {}
    for p in plans:
        converted[p.network] = convert(graphs[p.network], options.half, report.islands.get(p.network, ()))
        engines[p.network] = build_engine(tensorrt, converted[p.network], p, target, progress)
    if target is None:
        progress("running the engines", 0, 1)
        report.proof = _prove_on_device(bundle, options, tensorrt, plans, converted, engines, images)
    for p in plans:
        proof = {"proof": report.proof.as_dict(), "islands": sorted(report.islands.get(p.network, ()))}
        report.engines[p.network] = cache.store(p.key, engines[p.network], proof)
    return report


def graphs_in_precision(
    bundle: AnyBundle,
    options: Options,
    images: Sequence[np.ndarray],
    report: Report,
    progress: Progress = lambda phase, done, total: None,
    networks: Collection[str] | None = None,
) -> dict[str, ModelProto]:
    """Make the graphs of a bundle, measured on images, and rewritten or quantised by the options.

    Args:
        bundle: the bundle.
        options: the options of the build.
        images: ``(H, W, 3)`` uint8 RGB, to measure on.
        report: receives errors and islands, for :func:`~evitsam_ros.tensorrt.precision.convert`.
        progress: called with phase, done and total.
        networks: the networks to convert; None: all.

    Returns:
        The graphs by network.
    """
    graphs = {network: load_graph(path) for network, path in bundle.networks.items()}
    wanted = [name for name in graphs if networks is None or name in networks]
    if options.precision == "fp32":
        return {name: graphs[name] for name in wanted}
    feeds = feeds_for(bundle, graphs, images)
    for done, network in enumerate(wanted):
        progress(f"measuring {network}", done, len(wanted))
        graph, seen = graphs[network], feeds[network]
        report.errors[network] = node_errors(graph, options.half, seen)
        if options.rewrite:
            largest = {e.name: e.largest for e in report.errors[network]}
            graph = graphs[network] = rewrite(graph, largest)
            report.errors[network] = node_errors(graph, options.half, seen)
        report.islands[network] = choose_islands(graph, report.errors[network], options.half)
        if options.precision == "int8" and network in ("encoder", "proposals", DENSE_NETWORK):
            graphs[network] = quantize(graph, calibrate(graph, seen))
    return {name: graphs[name] for name in wanted}


def _prove_on_device(
    bundle: AnyBundle,
    options: Options,
    tensorrt: TensorRt,
    plans: Sequence[NetworkPlan],
    converted: dict[str, ModelProto],
    engines: dict[str, memoryview],
    images: Sequence[np.ndarray],
) -> Proof | DenseProof:
    """Run the engines on this machine's GPU, and prove them.

    Raises:
        ValidationError: the masks differ; names the first layer that differs.
    """
    from .engine_validation import engines_runtime, first_difference

    with closing(engines_runtime(tensorrt, engines)) as runtime:
        proof = prove(bundle, runtime, images, options.precision, ran=True)
    if not (problem := proof.problem()):
        return proof
    worst = min(proof.networks, key=lambda name: proof.networks[name].cosine)
    p = next(p for p in plans if p.network == worst)

    def open_engine(graph: ModelProto):
        content = build_engine(tensorrt, graph, p, None, lambda *_: None)
        return engines_runtime(tensorrt, {worst: content}).networks[worst]

    float32 = {name: load_graph(path) for name, path in bundle.networks.items()}
    feed = feeds_for(bundle, float32, images[:1])[worst][0]
    difference = first_difference(worst, float32[worst], converted[worst], feed, open_engine)
    raise ValidationError(f"{bundle.name} in {options.precision} on this GPU: {problem}; {difference}")


def prove_emulated(
    bundle: AnyBundle,
    graphs: dict[str, ModelProto],
    options: Options,
    islands: dict[str, frozenset[str]],
    images: Sequence[np.ndarray],
) -> Proof | DenseProof:
    """Prove the graphs of the engines, with every rounding emulated on the CPU."""
    if options.half != "fp32":
        graphs = {n: emulate(graph, options.half, islands[n]) for n, graph in graphs.items()}
    runtime = graphs_runtime(graphs, f"emulated {options.precision}")
    return prove(bundle, runtime, images, options.precision, ran=False)


def _first_difference(report: Report) -> str:
    """Name the first node left in half precision that breaks, else the one with the largest error."""
    in_order = [name for name in (*NETWORKS, DENSE_NETWORK) if name in report.errors]
    left = [
        (network, error)
        for network in in_order
        for error in report.errors[network]
        if error.name not in report.islands[network]
    ]
    for network, error in left:
        if error.broken:
            return (
                f"the first to break is {error.name} ({error.operator}) of the {network}: {error.broken} "
                f"values overflow, the largest is {error.largest:.3g}"
            )
    if not left:
        return "every node is float32"
    network, worst = max(left, key=lambda entry: entry[1].error)
    return f"the largest error is of {worst.name} ({worst.operator}, {worst.error:.1e}) of the {network}"


def _target_or_none(options: Options, gpu: Gpu | None) -> str | None:
    """Return the compute capability to name, or None for the GPU of this machine."""
    return None if options.target == "auto" or (gpu and gpu.target == options.target) else options.target
