# SPDX-License-Identifier: Apache-2.0
"""Observe the machine during a measurement: memory, energy, clocks, heat, throttling, other work.

A :class:`Watch` is started, sampled once a run, and stopped. Values that are not reported are None.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from .machine import read
from .nvidia import Nvml, Tegrastats

MIB = 2**20


def resident_mib(root: Path = Path("/"), pid: int | None = None) -> dict[str, float | None]:
    """Return ``now`` and ``peak`` resident memory in MiB, of this process or of ``pid``."""
    status = read(root / f"proc/{pid or os.getpid()}/status") or ""
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.M))
    return {
        name: int(found[key]) / 1024 if key in found else None
        for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))
    }


def rapl_microjoules(root: Path = Path("/")) -> dict[str, tuple[int, int]]:
    """Return energy counter and range by package; empty without any, or if only root may read them."""
    found = {}
    for domain in sorted((root / "sys/class/powercap").glob("intel-rapl:[0-9]*")):
        name, energy = read(domain / "name"), read(domain / "energy_uj")
        # Domains within a package (cores, uncore) are counted in it.
        if name and energy and domain.name.count(":") == 1:
            found[f"{name} ({domain.name})"] = (int(energy), int(read(domain / "max_energy_range_uj") or 0))
    return found


def joules_between(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float | None:
    """Return the energy of all packages; a counter that decreased has wrapped once."""
    if not after or set(before) != set(after):
        return None
    total = 0
    for name, (end, span) in after.items():
        used = end - before[name][0]
        total += used if used >= 0 else used + span
    return total / 1e6


def throttle_events(root: Path = Path("/")) -> int | None:
    """Return how often cores and packages were throttled since boot."""
    counts = [
        int(text)
        for kind in ("core", "package")
        for file in (root / "sys/devices/system/cpu").glob(
            f"cpu[0-9]*/thermal_throttle/{kind}_throttle_count"
        )
        if (text := read(file)) and text.isdigit()
    ]
    return sum(counts) if counts else None


def clock_mhz(root: Path = Path("/")) -> float | None:
    """Return the current mean clock of the CPUs."""
    files = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    clocks = [int(text) / 1e3 for file in files if (text := read(file)) and text.isdigit()]
    if not clocks:
        clocks = [
            float(v) for v in re.findall(r"^cpu MHz\s*: ([\d.]+)", read(root / "proc/cpuinfo") or "", re.M)
        ]
    return statistics.fmean(clocks) if clocks else None


def hottest_celsius(root: Path = Path("/")) -> float | None:
    """Return the temperature of the warmest thermal zone."""
    zones = [read(file) for file in (root / "sys/class/thermal").glob("thermal_zone*/temp")]
    values = [int(text) / 1e3 for text in zones if text and text.lstrip("-").isdigit()]
    return max(values) if values else None


def cpu_seconds(root: Path = Path("/")) -> tuple[float, float] | None:
    """Return the seconds of all CPUs since boot: busy here, and stolen by the hypervisor."""
    fields = (read(root / "proc/stat") or "").partition("\n")[0].split()[1:]
    if len(fields) < 8:
        return None
    user, nice, system, _, _, irq, softirq, steal = (int(n) / os.sysconf("SC_CLK_TCK") for n in fields[:8])
    return user + nice + system + irq + softirq, steal


@dataclass
class Watch:
    """An observation of a period of time.

    Attributes:
        cpus: number of CPUs, for shares of their time.
        root: folder of ``proc`` and ``sys``.
    """

    cpus: int
    root: Path = Path("/")
    clocks: list[float] = field(default_factory=list)
    heat: list[float] = field(default_factory=list)

    def __enter__(self) -> Watch:
        self.nvml, self.tegrastats = Nvml.open(), Tegrastats.open()
        self.began = time.monotonic(), sum(os.times()[:4]), cpu_seconds(self.root)
        self.before = rapl_microjoules(self.root), throttle_events(self.root)
        return self

    def sample(self) -> None:
        """Read the values that change."""
        for values, now in ((self.clocks, clock_mhz(self.root)), (self.heat, hottest_celsius(self.root))):
            if now is not None:
                values.append(now)
        if self.nvml:
            self.nvml.sample()

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self.began[0]
        self.own = sum(os.times()[:4]) - self.began[1]
        self.ended = cpu_seconds(self.root)
        self.after = rapl_microjoules(self.root), throttle_events(self.root)
        if self.nvml:
            self.nvml.close()
        if self.tegrastats:
            self.tegrastats.close()

    def facts(self) -> dict[str, float | str | None]:
        """Return the observed values."""
        joules = joules_between(self.before[0], self.after[0])
        gpu = self.nvml.facts() if self.nvml else dict.fromkeys(Nvml.FACTS)
        board = self.tegrastats.watts() if self.tegrastats else None
        return {
            "seconds": self.seconds,
            "CPU packages, W": None if joules is None else joules / self.seconds,
            "board, W": board,
            "CPU clock, median MHz": statistics.median(self.clocks) if self.clocks else None,
            "CPU clock, lowest MHz": min(self.clocks, default=None),
            "hottest zone, C": max(self.heat, default=None),
            "CPU throttling, events": self._throttled(),
            **gpu,
            **self._others(),
        }

    def _throttled(self) -> int | None:
        before, after = self.before[1], self.after[1]
        return None if before is None or after is None else after - before

    def _others(self) -> dict[str, float | None]:
        """Return the shares of CPU time of other work here, and of other machines on the same host.

        Processes that the profile started and that have ended count as its own.
        """
        names = "other work on the CPUs, %", "stolen by the hypervisor, %"
        if self.began[2] is None or self.ended is None:
            return dict.fromkeys(names)
        busy, stolen = (end - start for start, end in zip(self.began[2], self.ended, strict=True))
        capacity = self.cpus * self.seconds
        others = max(0.0, busy - self.own)
        return {names[0]: 100 * others / capacity, names[1]: 100 * stolen / capacity}
