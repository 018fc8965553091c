# SPDX-License-Identifier: Apache-2.0
"""A run: find the units, skip those that are done, label the others here or on Ray."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from . import unit as units
from .inputs import CHUNK, InputError, find_units
from .isolated import IsolatedLabeller
from .job import Job, JobError
from .outcome import Outcome, Summary
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from .store import Part
    from .unit import Unit

log = logging.getLogger(__name__)

#: Packages with a version in the manifest, where they are installed.
_RECORDED = (
    *("evitsam_ros", "numpy", "opencv-python-headless", "pyarrow", "onnxruntime", "openvino", "rosbags"),
    *("tensorrt", "ray"),
)


@dataclass(frozen=True)
class Workers:
    """Where units are labelled.

    Attributes:
        count: number of workers of Ray; 0: as many as the cluster has room for.
        address: of a cluster, ``auto`` or ``HOST:PORT``; empty: Ray is started on this machine if ``count``
            is not 0, else there is no Ray.
        threads: CPU threads of a network in each worker; 0: this machine's cores, shared by the workers.
    """

    count: int = 0
    address: str = ""
    threads: int = 0

    @property
    def on_ray(self) -> bool:
        """Whether Ray is used."""
        return bool(self.count or self.address)


def label(
    inputs: Sequence[str],
    out: str,
    job: Job,
    workers: Workers | None = None,
    progress: Callable[[int, Summary], None] | None = None,
    chunk: int = CHUNK,
) -> Summary:
    """Label all inputs that an earlier run of the same options has not labelled.

    Args:
        inputs: see :func:`.inputs.find_units`.
        out: output folder, as a path or a URL.
        job: options of the run.
        workers: options of the workers; None: one process.
        progress: called after every unit with the number of images that is known to come, 0 if it is not, and
            the counts so far.
        chunk: max number of images of a unit, where they are no sequence.

    Returns:
        The counts of this run.

    Raises:
        JobError: Inputs, model, options or output are invalid.
    """
    begun, summary, store = time.monotonic(), Summary(), Store(out)
    with store.locked():
        store.open(job, job.models(), _versions())
        waiting = _waiting(find_units(inputs, job, chunk), store, summary)
        expected = sum(unit.count for unit in waiting) if all(unit.count for unit in waiting) else 0
        if waiting:
            with closing(_outcomes(waiting, out, job, workers or Workers())) as outcomes:
                for outcome in outcomes:
                    _note(outcome, summary, time.monotonic() - begun)
                    if progress is not None:
                        progress(expected, summary)
    summary.seconds = time.monotonic() - begun
    return summary


def _outcomes(waiting: list[Unit], out: str, job: Job, workers: Workers) -> Generator[Outcome, None, None]:
    if workers.on_ray:
        from .on_ray import label_on_ray

        yield from label_on_ray(waiting, out, job, workers.count, workers.address, workers.threads)
        return
    with IsolatedLabeller(job, out, workers.threads) as labeller:
        for unit in waiting:
            yield labeller.label(unit)


def _note(outcome: Outcome, summary: Summary, seconds: float) -> None:
    if outcome.fatal:
        raise JobError(outcome.error)
    for line in outcome.warnings:
        log.warning("%s", line)
    if outcome.error:
        log.warning("set aside: %s: %s", outcome.title, outcome.error)
    for line in outcome.skipped:
        log.warning("set aside: %s", line)
    summary.add(outcome, seconds)


def _waiting(found: Iterator[Unit], store: Store, summary: Summary) -> list[Unit]:
    """Return the units that are not done; images of a folder that are done are taken out of its units."""
    done = store.done()
    parts = store.parts() if done else {}
    known = _known_images(parts)
    waiting = []
    for unit in found:
        summary.units += 1
        if unit.key in done:
            _check_unchanged(unit, parts[unit.key])
            summary.earlier += 1
            continue
        if unit.kind == units.IMAGES and not unit.sequence and unit.source in known:
            left = tuple(name for name in unit.names if name not in known[unit.source])
            if not left:
                summary.earlier += 1
                continue
            unit = unit.of_names(left)
        waiting.append(unit)
    if not summary.units:
        raise InputError("the inputs hold no image, video, bag or tar shard")
    return waiting


def _known_images(parts: dict[str, Part]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for part in parts.values():
        if part.unit.kind == units.IMAGES and not part.unit.sequence:
            known.setdefault(part.unit.source, set()).update(part.unit.names)
    return known


def _check_unchanged(unit: Unit, part: Part) -> None:
    if unit.content != part.content:
        raise InputError(
            f"{unit.title} has changed since it was labelled; give another --out, or remove "
            f"masks/{unit.key}.parquet to label it again"
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in _RECORDED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
