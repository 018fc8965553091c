# SPDX-License-Identifier: Apache-2.0
"""Label without a process of its own."""

from __future__ import annotations

from evitsam_ros.cli import build_parser
from evitsam_ros.cli.label import job_of
from evitsam_ros.labelling.inputs import find_units
from evitsam_ros.labelling.labeller import Labeller
from evitsam_ros.labelling.store import Store

from .scenes import rows


def labelled(out, inputs, options, *more):
    """Label in this process; return the sorted rows of masks."""
    parsed = build_parser().parse_args(["label", *map(str, inputs), "--out", str(out), *options, *more])
    job, store = job_of(parsed), Store(str(out))
    with store.locked():
        store.open(job, job.models(), {})
        labeller = Labeller(job, store, threads=1)
        for unit in find_units([str(text) for text in inputs], job):
            labeller.label(unit)
    return rows(out)
