# SPDX-License-Identifier: Apache-2.0
"""Measure which backend and precision draws the same masks fastest on this CPU.

``python -m evitsam_ros.autotune MODEL`` works beside a running node, in at most five seconds of one thread.
"""

from .budget import BUDGET_S, Budget
from .measure import Measurement, measure
from .photographs import photographs

__all__ = ["BUDGET_S", "Budget", "Measurement", "measure", "photographs"]
