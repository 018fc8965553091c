# SPDX-License-Identifier: Apache-2.0
"""The node ``web`` in a process of its own, on any free port."""

from __future__ import annotations

import re
import time
from pathlib import Path

from .harness import Process


class WebProcess(Process):
    """A page of ``/segmenter`` on a domain; ``url`` is where it is."""

    def __init__(self, domain: int, folder: Path, **parameters) -> None:
        super().__init__("web", domain, folder / f"web_{domain}.log", {"port": 0} | parameters)
        deadline = time.monotonic() + 200
        while not (found := re.search(r"page of .*: (http://\S+/)", self.output)):
            assert time.monotonic() < deadline and self.process.poll() is None, self.output
            time.sleep(0.05)
        self.url = found[1]

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100
