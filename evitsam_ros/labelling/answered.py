# SPDX-License-Identifier: Apache-2.0
"""Label a bag and write the answered bag in one pass: every image goes through the networks once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..io.bags.answers import answer_bag
from .detections import nanoseconds
from .job import JobError
from .labeller import UnitTables
from .readers import Item, local_copy
from .store import BAGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..segment import Frame, Masks
    from .labeller import Labeller
    from .outcome import Outcome
    from .unit import Unit


class _Rows:
    """Write the results of :func:`answer_bag` into the tables of a unit."""

    def __init__(self, tables: UnitTables, at: Callable[[int], None]) -> None:
        self._tables, self._at = tables, at

    def begins(self, number: int) -> None:
        self._at(number)

    def answered(self, number: int, header: Any, frame: Frame, masks: Masks) -> None:
        item = Item(number, stamp=nanoseconds(header.stamp), image=frame.image)
        self._tables.add(item, masks, {}, "")

    def damaged(self, number: int, error: str) -> None:
        self._tables.add(Item(number, error=error), None, {}, error)


def label_and_answer(labeller: Labeller, unit: Unit, at: Callable[[int], None]) -> Outcome:
    """Label a bag's topic with tracked ids, and write ``OUT/bags/KEY.mcap``.

    Args:
        labeller: the opened networks.
        unit: a complete recording.
        at: called with the number of each image before it is decoded.

    Raises:
        BagError: The bag cannot be read.
        JobError: The output cannot be written.
    """
    store, job = labeller.store, labeller.job
    if not store.place.is_local:
        raise JobError(f"--bags writes to a local --out; {store.out} is a URL")
    assert labeller.segmenter is not None, "--bags is for masks"
    folder = store.place.join(BAGS).local
    target, new = folder / f"{unit.key}.mcap", folder / f".new-{os.getpid()}-{unit.key}.mcap"
    prompts = None if job.everything else dict(enumerate(labeller.prompts, start=1))
    with UnitTables(store, unit) as tables, local_copy(unit) as source:
        answer_bag(
            *(labeller.segmenter, source, new, unit.topic),
            prompts=prompts,
            top_n=job.max_prompts,
            observer=_Rows(tables, at),
        )
        _put(new, target, store)
    return tables.outcome()


def _put(new: Path, target: Path, store: Any) -> None:
    with store.writing():
        new.replace(target)
