# SPDX-License-Identifier: Apache-2.0
"""Read memory, energy, clocks and throttling of an NVIDIA GPU: by NVML (nvidia-ml-py), or tegrastats."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from typing import Any

#: Bits of NVML's reasons for a lower clock that mean heat or power, by name.
REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}


class Nvml:
    """Samples of the GPU that CUDA uses."""

    FACTS = (
        *("GPU, W", "GPU memory of all processes, MiB", "GPU clock, median MHz", "GPU clock, lowest MHz"),
        *("GPU hottest, C", "GPU throttling"),
    )

    def __init__(self, api: Any, device: Any) -> None:
        self.api, self.device = api, device
        self.clocks: list[float] = []
        self.heat: list[float] = []
        self.memory: list[float] = []
        self.watts: list[float] = []
        self.reasons: int | None = None
        self.began = time.monotonic(), self._ask("nvmlDeviceGetTotalEnergyConsumption")
        self.ended = self.began

    @classmethod
    def open(cls) -> Nvml | None:
        """Open the GPU; return None if nvidia-ml-py, the driver or a GPU is missing."""
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            device = pynvml.nvmlDeviceGetHandleByIndex(int(os.environ.get("EVITSAM_GPU", "0")))
        except pynvml.NVMLError:
            return None
        return cls(pynvml, device)

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Call NVML; return None if this GPU does not support the query."""
        try:
            return getattr(self.api, name)(self.device, *arguments)
        except (self.api.NVMLError, AttributeError):
            return None

    def sample(self) -> None:
        """Read the values that change."""
        memory = self._ask("nvmlDeviceGetMemoryInfo")
        milliwatts = self._ask("nvmlDeviceGetPowerUsage")
        for values, now in (
            (self.clocks, self._ask("nvmlDeviceGetClockInfo", self.api.NVML_CLOCK_SM)),
            (self.heat, self._ask("nvmlDeviceGetTemperature", self.api.NVML_TEMPERATURE_GPU)),
            (self.memory, None if memory is None else memory.used / 2**20),
            (self.watts, None if milliwatts is None else milliwatts / 1e3),
        ):
            if now is not None:
                values.append(now)
        # Renamed in driver 535; the old name goes on working.
        reasons = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        if reasons is not None:
            self.reasons = (self.reasons or 0) | reasons

    def close(self) -> None:
        """Read the energy counter for the last time, and close NVML."""
        self.ended = time.monotonic(), self._ask("nvmlDeviceGetTotalEnergyConsumption")
        self.api.nvmlShutdown()

    def facts(self) -> dict[str, float | str | None]:
        """Return the observed values, by the names of :attr:`FACTS`."""
        values = (
            self._watts(),
            max(self.memory, default=None),
            statistics.median(self.clocks) if self.clocks else None,
            min(self.clocks, default=None),
            max(self.heat, default=None),
            reason_names(self.reasons),
        )
        return dict(zip(self.FACTS, values, strict=True))

    def _watts(self) -> float | None:
        """Return the power by the energy counter (millijoules), or the mean of the samples."""
        (start, before), (end, after) = self.began, self.ended
        if before is not None and after is not None and end > start:
            return (after - before) / 1e3 / (end - start)
        return statistics.fmean(self.watts) if self.watts else None


def reason_names(bits: int | None) -> str | None:
    """Return the reasons of a lowered clock in NVML's bits: ``none``, or None if unknown."""
    if bits is None:
        return None
    return ", ".join(name for bit, name in REASONS.items() if bits & bit) or "none"


class Tegrastats:
    """Samples of the power of a Jetson's board, twice a second."""

    def __init__(self, command: str = "tegrastats") -> None:
        # A pipe without a reader would fill up and block the process.
        self._written = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            [command, "--interval", "500"], stdout=self._written, stderr=subprocess.DEVNULL
        )
        self.lines: list[str] = []

    @classmethod
    def open(cls) -> Tegrastats | None:
        """Start tegrastats; return None if it is not installed."""
        return cls() if shutil.which("tegrastats") else None

    def close(self) -> None:
        """Stop tegrastats and keep its output."""
        self._process.terminate()
        self._process.wait(timeout=10)
        with self._written as file:
            file.seek(0)
            self.lines = file.read().splitlines()

    def watts(self) -> float | None:
        """Return the mean power of the board."""
        found = [watts for line in self.lines if (watts := board_watts(line)) is not None]
        return statistics.fmean(found) if found else None


def board_watts(line: str) -> float | None:
    """Return the power of the board in a line of tegrastats, as ``VDD_IN 5080mW/5080mW``."""
    if whole := re.search(r"\b(?:VDD_IN|POM_5V_IN) (\d+)(?:mW)?/\d+", line):
        return int(whole[1]) / 1e3
    # Orin and Xavier AGX have no rail of the board: their rails add up to it.
    parts = re.findall(r"\b(?:VDD_\w+|CPU|GPU|SOC|CV|SYS5V|VDDRQ|VIN_\w+) (\d+)mW/\d+mW", line)
    return sum(int(part) for part in parts) / 1e3 if parts else None
