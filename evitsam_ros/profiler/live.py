# SPDX-License-Identifier: Apache-2.0
"""Measure the latency of a running segmenter from outside: stamps of images against arrivals of masks.

This is the black-box method of REP 2014: it needs no change, restart or knowledge of the watched nodes.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import numpy as np

#: Masks that the percentiles look back on.
WINDOW = 1000
#: Seconds after which an image without a mask is taken to have none.
GRACE = 3.0
PERCENTILES = (50, 90, 95, 99, 100)


class LiveLatency:
    """Images and masks of one camera.

    Args:
        late: seconds from an image's stamp to its mask, above which the mask is late.
    """

    def __init__(self, late: float) -> None:
        self.late = late
        self.images = self.masks = self.unanswered = self.unseen = self.late_masks = 0
        self._ages: deque[float] = deque(maxlen=WINDOW)
        self._arrivals: deque[float] = deque(maxlen=WINDOW)
        self._waiting: OrderedDict[int, float] = OrderedDict()
        self._early: OrderedDict[int, float] = OrderedDict()

    def image(self, stamp_ns: int, now: float) -> None:
        """Record an image; ``now`` is in seconds of any steady clock."""
        self.images += 1
        if self._early.pop(stamp_ns, None) is None:
            self._waiting[stamp_ns] = now
        self._give_up(now)

    def mask(self, stamp_ns: int, age: float, now: float) -> None:
        """Record a mask that arrived ``age`` seconds after the stamp that it carries."""
        self.masks += 1
        self.late_masks += age > self.late
        self._ages.append(age)
        self._arrivals.append(now)
        if self._waiting.pop(stamp_ns, None) is None:
            self._early[stamp_ns] = now
        self._give_up(now)

    def _give_up(self, now: float) -> None:
        self.unanswered += _drop_before(self._waiting, now - GRACE)
        self.unseen += _drop_before(self._early, now - GRACE)

    def summary(self) -> dict[str, float]:
        """Return counts, percentiles of the age in milliseconds, and its standard deviation as jitter.

        ``rate_hz`` is that of the masks. ``masks_without_image`` counts masks of images that were lost on the
        way to this node. Unknown values are left out.
        """
        found: dict[str, float] = {"masks": self.masks, "late_masks": self.late_masks}
        if self.images:
            unmatched = {"images_without_mask": self.unanswered, "masks_without_image": self.unseen}
            found = {"images": self.images} | found | unmatched
        if self._ages:
            ages = np.array(self._ages) * 1e3
            values = np.percentile(ages, PERCENTILES)
            names = [f"age_p{p}_ms" if p < 100 else "age_max_ms" for p in PERCENTILES]
            found |= {name: round(float(v), 2) for name, v in zip(names, values, strict=True)}
            found["age_jitter_ms"] = round(float(ages.std()), 2)
        if len(self._arrivals) > 1:
            span = self._arrivals[-1] - self._arrivals[0]
            found["rate_hz"] = round((len(self._arrivals) - 1) / max(span, 1e-9), 2)
        return found


def _drop_before(times: OrderedDict[int, float], limit: float) -> int:
    """Drop the entries older than ``limit`` from the front; return their number."""
    before = len(times)
    while times and next(iter(times.values())) < limit:
        times.popitem(last=False)
    return before - len(times)
