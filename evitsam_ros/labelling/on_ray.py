# SPDX-License-Identifier: Apache-2.0
"""Label units on Ray Data, by a pool of actors that open their networks once. No other module knows Ray.

Ray schedules and restarts workers, and repeats their lost units. A unit that was written before its worker
was lost is not labelled again.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .isolated import IsolatedLabeller
from .job import Job, JobError
from .outcome import Outcome
from .store import Store
from .unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Max repetitions by Ray of work that was lost with its worker or node.
RETRIES = 5
#: Max passes over lost units.
PASSES = 3
#: Ray keeps a record of each block in the driver's memory.
MAX_BLOCKS = 4096
#: How often Ray is started where it gives up after its own 30 seconds.
STARTS = 4
#: Seconds to wait for a cluster's port.
CONNECT = 20
#: Bytes of Ray's object store on this machine: only names and counts go through it.
OBJECT_STORE = 128 << 20


@dataclass(frozen=True)
class Slots:
    """Workers that a cluster has room for.

    Attributes:
        count: number of workers at the start.
        most: number of workers that the pool may grow to.
        cpus, gpus: of Ray, for each worker.
        threads: CPU threads of a network.
    """

    count: int
    most: int
    cpus: float
    gpus: float
    threads: int


def label_on_ray(
    waiting: Sequence[Unit], out: str, job: Job, count: int, address: str, threads: int
) -> Iterator[Outcome]:
    """Yield the outcome of each unit as soon as it is known.

    Args:
        waiting: units to label.
        out: output folder that every node reaches.
        job: options of the run.
        count: number of workers; 0: as many as the cluster has room for.
        address: of a cluster; empty: Ray is started on this machine and ended afterwards.
        threads: CPU threads of a network; 0: this machine's cores shared by the workers, 1 on a cluster.

    Raises:
        JobError: Ray is not installed or cannot be reached, or the work cannot continue.
    """
    opener = Opener(job, out)
    with connected(count, address, threads) as slots:
        yield from stream(waiting, opener, slots)


@dataclass(frozen=True)
class Opener:
    """Open a labeller in a worker."""

    job: Job
    out: str

    def __call__(self, threads: int) -> Any:
        """Return an object with ``label(unit) -> Outcome``."""
        return IsolatedLabeller(self.job, self.out, threads)

    def earlier(self, unit: Unit) -> Outcome | None:
        """Return the outcome of a unit that is done already."""
        return Store(self.out).outcome(unit)


class Worker:
    """An actor of Ray Data: a batch of units in, their outcomes out."""

    def __init__(self, opener: Opener, threads: int) -> None:
        self._opener, self._labeller = opener, opener(threads)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        """Label the units of a batch."""
        units = [Unit.from_json(str(text)) for text in batch["unit"]]
        found = [self._opener.earlier(unit) or self._labeller.label(unit) for unit in units]
        return {"outcome": [outcome.to_json() for outcome in found]}


def stream(waiting: Sequence[Unit], opener: Any, slots: Slots) -> Iterator[Outcome]:
    """Label units on the connected cluster.

    Args:
        waiting: units to label.
        opener: see :class:`Opener`.
        slots: the pool of workers.

    Raises:
        JobError: The work cannot continue.
    """
    lost = {unit.key: unit for unit in waiting}
    # While a node goes, Ray counts all tries of a row within seconds; later the cluster is as it is.
    for _ in range(PASSES):
        if not lost:
            break
        rows = [{"unit": unit.to_json()} for unit in lost.values()]
        for row in mapped(rows, Worker, (opener, slots.threads), slots):
            outcome = Outcome.from_json(row["outcome"])
            lost.pop(outcome.key, None)
            yield outcome
    for unit in lost.values():
        tries = PASSES * (RETRIES + 1)
        reason = f"its worker was lost {tries} times: killed, or out of memory; use fewer workers"
        yield Outcome(unit.key, unit.title, error=reason)


def mapped(
    rows: list[dict[str, Any]], worker: type, arguments: tuple[Any, ...], slots: Slots
) -> Iterator[dict[str, Any]]:
    """Map rows by a pool of actors on the connected cluster; yield the results as they come.

    Rows that lost their worker more than ``RETRIES`` times have no result.

    Args:
        rows: of plain values.
        worker: a class; its objects map a batch of one row, columns of values, to columns of results.
        arguments: of its constructor.
        slots: the pool.

    Raises:
        JobError: The work cannot continue.
    """
    import ray
    from ray.exceptions import RayError

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A unit lost RETRIES times loses its own rows only.
    context.max_errored_blocks = -1
    given = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
    with warnings.catch_warnings():
        # Ray 2.60 has no other way to bound the retries: without, a worker that needs too much memory is
        # started for ever.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        results = given.map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=1,
            # A row that waits for an actor would count as tried when the actor is lost.
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=slots.most, initial_size=slots.count, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=slots.cpus,
            num_gpus=slots.gpus,
            max_restarts=-1,
            max_task_retries=RETRIES,
        )
    try:
        yield from results.iter_rows()
    except RayError as error:
        raise JobError(f"Ray has ended the work: {_one_line(error)}; give the same command again") from error


@contextmanager
def connected(count: int, address: str, threads: int) -> Iterator[Slots]:
    """Start Ray on this machine, or join a cluster, for the time of the block.

    Raises:
        JobError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        if not address:
            # Read when Ray is imported: its servers listen on 127.0.0.1. Otherwise Ray replaces a loopback
            # address by that of the network card, and listens on all of them.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        import ray
        import ray.data
    except ImportError as error:
        raise JobError(
            f"--workers and --ray need Ray ({error}); pip install 'evitsam_ros[fleet]', or leave them out"
        ) from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    folder = None if address else _short_folder()
    try:
        _start(ray, count, address, folder)
        yield _slots(ray, count, address, threads)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str:
    """Make a folder for Ray's sockets; a path may have 107 bytes, and takes 81 below the folder."""
    base = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="evr-", dir=base if len(os.fsencode(base)) <= 13 else "/tmp")


def _start(ray: Any, count: int, address: str, folder: str | None) -> None:
    options: dict[str, Any]
    if address:
        options = {"address": address}
    else:
        options = {
            "address": "local",  # not a cluster that an earlier run has left behind
            "num_cpus": count,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE,
            "_temp_dir": folder,
        }
    for left in reversed(range(STARTS)):
        try:
            if address:
                _knock(address)
            with _quiet():
                ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
            return
        except Exception as error:  # Ray raises Exception itself where a busy machine starts it too slowly
            ray.shutdown()
            if not left or address:
                what = f"no cluster of Ray answers at {address}" if address else "Ray cannot be started here"
                raise JobError(f"{what}: {_one_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lines of Ray's native code, as its own log level, from the terminal; errors are raised."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _knock(address: str) -> None:
    """Raise ``OSError`` if no process listens at ``HOST:PORT``: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=CONNECT).close()


def _slots(ray: Any, count: int, address: str, threads: int) -> Slots:
    if not address:
        cores = len(os.sched_getaffinity(0))
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) >= count else 0.0
        return Slots(count, count, 1, gpus, threads or max(1, cores // count))
    there = ray.cluster_resources()
    threads = threads or 1
    gpus = 1.0 if there.get("GPU", 0) else 0.0
    room = int(there.get("GPU", 0)) or int(there.get("CPU", 0)) // threads
    if room < 1:
        raise JobError(f"the cluster at {address} has no CPU for a worker of {threads} threads")
    # Without a number the pool grows with nodes that join on the way.
    return Slots(min(count or room, room), count or 16 * room, threads, gpus, threads)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 400 else f"{text[:400]} ..."
