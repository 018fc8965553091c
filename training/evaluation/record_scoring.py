# SPDX-License-Identifier: Apache-2.0
"""Score records in this process or on Ray workers, with the same results.

A record's result consists of plain values; results are combined in the order of the records.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from evitsam_ros.labelling.on_ray import Slots, mapped
from evitsam_ros.segment import Segmenter

if TYPE_CHECKING:
    from ..records import Record

#: Computes a record's result as plain values: lists, dicts, numbers and text.
Job = Callable[[Segmenter | None, "Record"], Any]
#: Applies a job to all records: (job, segmenter, records, title) -> their results in order.
ScoreRecords = Callable[[Job, Segmenter | None, Sequence["Record"], str], Iterable[Any]]


def score_in_process(
    job: Job, segmenter: Segmenter | None, records: Sequence[Record], title: str
) -> Iterable[Any]:
    """Score the records in this process."""
    return (job(segmenter, record) for record in tqdm(records, desc=title, unit="image", mininterval=2))


def with_proposal_prompt(segmenter: Segmenter | None, proposal_prompt: str) -> Segmenter:
    """Return a segmenter that decodes proposals as ``boxes`` or ``points``; empty: as in the bundle."""
    assert segmenter is not None, "everything mode needs a model"
    if not proposal_prompt:
        return segmenter
    return Segmenter(dataclasses.replace(segmenter.bundle, proposals_as=proposal_prompt), segmenter.runtime)


@dataclasses.dataclass(frozen=True)
class RayScoring:
    """Score the records on the connected Ray cluster.

    Attributes:
        slots: the pool of workers.
        model, backend: opened by each worker; an empty model for baselines only.
    """

    slots: Slots
    model: str
    backend: str

    def __call__(
        self, job: Job, segmenter: Segmenter | None, records: Sequence[Record], title: str
    ) -> Iterable[Any]:
        """Return the records' results in their order.

        Raises:
            ValueError: A record was lost repeatedly with its workers.
        """
        rows = [{"number": number} for number in range(len(records))]
        arguments = (self.model, self.backend, self.slots.threads, job, list(records))
        found: dict[int, Any] = {}
        with tqdm(total=len(records), desc=title, unit="image", mininterval=2) as bar:
            for row in mapped(rows, Scorer, arguments, self.slots):
                found[row["number"]] = json.loads(row["result"])
                bar.update()
        if missing := [record.name for number, record in enumerate(records) if number not in found]:
            raise ValueError(f"{len(missing)} images have no result, as {missing[0]}: workers were lost")
        return [found[number] for number in range(len(records))]


class Scorer:
    """Score records as an actor of Ray Data: numbers of records in, their results out."""

    def __init__(self, model: str, backend: str, threads: int, job: Job, records: list[Record]) -> None:
        self._job, self._records = job, records
        self._segmenter = Segmenter.open(model, backend, threads) if model else None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score the records of a batch."""
        numbers = [int(number) for number in batch["number"]]
        results = [json.dumps(self._job(self._segmenter, self._records[number])) for number in numbers]
        return {"number": numbers, "result": results}
