# SPDX-License-Identifier: Apache-2.0
"""Measure the suite ``fleet``: labelling by workers beside a plain loop, and many simulated nodes.

The simulated nodes sleep in place of networks: the suite measures the scheduling.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.labelling import Job, Outcome, label
from evitsam_ros.labelling.on_ray import Slots, connected, stream
from evitsam_ros.labelling.run import Workers
from evitsam_ros.labelling.unit import IMAGES, Unit
from evitsam_ros.profiler.measurements import LESS, MORE, Figure, Suite, ratio_of

from .workload import MODEL, Settings, photograph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evitsam_ros.labelling.outcome import Summary

#: Published encoder throughput of EfficientViT-SAM XL1 on an A100 with TensorRT in fp16, images a second.
PUBLISHED = 182.0
#: Images of a simulated unit.
SIMULATED = 1000


@dataclass(frozen=True)
class Sleeping:
    """Opens a network that sleeps as long as an A100 takes for a unit; 0: it does nothing."""

    seconds: float

    def __call__(self, threads: int) -> Sleeping:
        """Return what labels units."""
        return self

    def earlier(self, unit: Unit) -> Outcome | None:
        """Return None: nothing was done before."""
        return None

    def label(self, unit: Unit) -> Outcome:
        """Sleep."""
        time.sleep(self.seconds)
        return Outcome(unit.key, unit.title, unit.count)


def simulated(count: int) -> list[Unit]:
    """Return units that have no files."""
    return [Unit(IMAGES, f"/simulated/{number}", names=("x",), count=SIMULATED) for number in range(count)]


def fleet(settings: Settings) -> Suite:
    """Measure the suite."""
    suite = Suite()
    _workers(suite, settings)
    if settings.fleet_many:
        _memory(suite, settings)
    if settings.fleet_nodes:
        _nodes(suite, settings)
    return suite


def _workers(suite: Suite, settings: Settings) -> None:
    """Two workers and a plain loop in rounds, on the same images."""
    plain, spread, starts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        _write_pictures(pictures, settings.fleet_images)
        for number in range(settings.fleet_rounds):
            plain.append(_rate(pictures, Path(folder, f"plain{number}"), Workers())[0])
            rate, start = _rate(pictures, Path(folder, f"spread{number}"), Workers(count=2))
            spread.append(rate)
            starts.append(start)
    suite.add(Figure("fleet/plain", "a plain loop, an image", "ms", [1e3 / rate for rate in plain]))
    suite.add(Figure("fleet/start", "start of two workers to the first rows", "s", starts))
    suite.ratios.append(
        ratio_of("fleet/two workers: plain loop", "two workers / plain loop", spread, plain, MORE)
    )


def _write_pictures(folder: Path, count: int) -> None:
    import cv2

    folder.mkdir()
    encoded = cv2.imencode(".jpg", photograph()[..., ::-1])[1].tobytes()
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(encoded)


def _rate(pictures: Path, out: Path, workers: Workers) -> tuple[float, float]:
    """Return images a second after the first rows, and the seconds until these."""
    begun, seen = time.monotonic(), list[tuple[float, int]]()

    def progress(_: int, summary: Summary) -> None:
        seen.append((time.monotonic(), summary.images))

    # Each image a unit of its own, so that a short run has an even end.
    names = [str(file) for file in sorted(pictures.iterdir())]
    label(names, str(out), Job(model=MODEL, everything=True), workers, progress, chunk=1)
    (first, had), (last, all_) = seen[0], seen[-1]
    return (all_ - had) / (last - first), first - begun


def _memory(suite: Suite, settings: Settings) -> None:
    """Peak memory of the driver, in a process each, with networks that do nothing."""
    peaks = []
    for count in (settings.fleet_few, settings.fleet_many):
        words = [sys.executable, "-m", "bench.fleet", str(count)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=1500, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["done"] == count, f"{found['done']} of {count}"
        peaks.append(found["peak"])
        suite.add(
            Figure(f"fleet/memory, {count} inputs", f"driver's memory, {count} inputs", "MB", [peaks[-1]])
        )
    suite.ratios.append(
        ratio_of("fleet/memory: many inputs", "many inputs / few", [peaks[1]], [peaks[0]], LESS)
    )


def _driver(count: int) -> int:
    """Drive ``count`` units and print the peak memory of this process."""
    import resource

    with connected(2, "", 1) as slots:
        done = sum(1 for _ in stream(simulated(count), Sleeping(0.0), slots))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"done": done, "peak": peak}))
    return 0


def _nodes(suite: Suite, settings: Settings) -> None:
    """Many simulated nodes beside one; then with three taken away and two added on the way.

    A process of its own drives them: Ray reads a cluster's token once a process.
    """
    nodes, units = settings.fleet_nodes, settings.fleet_units
    words = [sys.executable, "-m", "bench.fleet", "nodes", str(nodes), str(units)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1500, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[1:])} exited with {done.returncode}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = SIMULATED / PUBLISHED
    many, alone = found["images_per_s"], SIMULATED / seconds
    title = f"{nodes} simulated nodes / {nodes} times one"
    suite.ratios.append(ratio_of("fleet/nodes: linear", title, [many / nodes], [alone], MORE))
    title = "units once, nodes lost / all"
    suite.ratios.append(ratio_of("fleet/churn: kept", title, [found["kept"]], [1.0], MORE))
    suite.notes.append(
        f"A simulated node sleeps {seconds:.2f} s for {SIMULATED} images: XL1 on an A100, published."
    )


def _drive_nodes(nodes: int, units: int) -> int:
    """Drive simulated nodes, ``units`` for each; print images a second, and the share kept under churn."""
    seconds = SIMULATED / PUBLISHED
    with _cluster(nodes) as cluster:
        many = _throughput(units * nodes, nodes, seconds)
        kept = _churn(cluster, units * nodes, nodes, seconds)
    print(json.dumps({"images_per_s": many, "kept": kept}))
    return 0


@contextmanager
def _cluster(nodes: int) -> Iterator[object]:
    """Start simulated nodes of one CPU each, beside a head without any; this process is the driver."""
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex, "RAY_USAGE_STATS_ENABLED": "0"}
    folder = tempfile.mkdtemp(prefix="evr-", dir="/tmp")
    os.environ.update(variables, RAY_TMPDIR=folder)
    Path(folder, "ray").mkdir()
    import ray
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    try:
        for _ in range(nodes):
            cluster.add_node(num_cpus=1, **small)
        ray.init(cluster.address, logging_level="ERROR", log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        for name in (*variables, "RAY_TMPDIR"):
            os.environ.pop(name, None)
        shutil.rmtree(folder, ignore_errors=True)


def _slots(nodes: int) -> Slots:
    return Slots(count=nodes, most=2 * nodes, cpus=1, gpus=0, threads=1)


def _throughput(units: int, nodes: int, seconds: float) -> float:
    """Return images a second from the time at which every node has had a unit."""
    times = []
    for _ in stream(simulated(units), Sleeping(seconds), _slots(nodes)):
        times.append(time.monotonic())
    return (len(times) - nodes) * SIMULATED / (times[-1] - times[nodes - 1])


def _churn(cluster, units: int, nodes: int, seconds: float) -> float:
    """Return the share of units that came, each once, with nodes lost and added on the way."""
    found: list[str] = []
    for outcome in stream(simulated(units), Sleeping(seconds), _slots(nodes)):
        found.append(outcome.key if not outcome.error else "")
        if len(found) in {nodes, nodes + 2, nodes + 4}:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        if len(found) in {nodes + 1, nodes + 3}:
            cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    kept = {key for key in found if key}
    return len(kept) / units if len(found) == units else 0.0


def main(arguments: Sequence[str]) -> int:
    """Drive ``COUNT`` units that do nothing, or simulated nodes: ``nodes NODES UNITS``."""
    if arguments[0] == "nodes":
        return _drive_nodes(*map(int, arguments[1:]))
    return _driver(int(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
