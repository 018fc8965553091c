# SPDX-License-Identifier: Apache-2.0
"""Recordings and data sets -> rows of masks in Parquet, in one process or on Ray. No ROS, no torch."""

from .job import Job, JobError
from .outcome import Outcome, Summary
from .run import label

__all__ = ["Job", "JobError", "Outcome", "Summary", "label"]
