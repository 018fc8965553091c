# SPDX-License-Identifier: Apache-2.0
"""Test sensors on files that the test writes, and on a stand-in of NVML."""

import os
from types import SimpleNamespace

import pytest

from evitsam_ros.profiler import nvidia, sensors
from evitsam_ros.profiler.nvidia import Nvml, Tegrastats, board_watts, reason_names
from evitsam_ros.profiler.sensors import Watch

from .system_files import write


def test_energy_with_wrapping_counters(tmp_path):
    rapl = "sys/class/powercap/intel-rapl"
    write(
        tmp_path,
        {
            f"{rapl}:0/name": "package-0",
            f"{rapl}:0/energy_uj": 900,
            f"{rapl}:0/max_energy_range_uj": 1000,
            f"{rapl}:0:0/name": "core",
            f"{rapl}:0:0/energy_uj": 5,
            f"{rapl}:1/name": "package-1",
            f"{rapl}:1/energy_uj": 100,
            f"{rapl}:1/max_energy_range_uj": 1000,
        },
    )
    before = sensors.rapl_microjoules(tmp_path)
    assert len(before) == 2  # cores are part of their package
    write(tmp_path, {f"{rapl}:0/energy_uj": 50, f"{rapl}:1/energy_uj": 400})
    assert sensors.joules_between(before, sensors.rapl_microjoules(tmp_path)) == pytest.approx(
        (150 + 300) / 1e6
    )


def test_a_machine_without_sensors_has_no_values(tmp_path):
    assert sensors.rapl_microjoules(tmp_path) == {} and sensors.joules_between({}, {}) is None
    assert sensors.throttle_events(tmp_path) is None and sensors.clock_mhz(tmp_path) is None
    assert sensors.hottest_celsius(tmp_path) is None and sensors.cpu_seconds(tmp_path) is None
    assert sensors.resident_mib(tmp_path) == {"now": None, "peak": None}
    with Watch(2, root=tmp_path) as watch:
        watch.sample()
    known = {name: value for name, value in watch.facts().items() if value is not None}
    assert set(known) == {"seconds"} or watch.nvml is not None


def test_resident_memory_of_this_process():
    found = sensors.resident_mib()
    assert 1 < found["now"] <= found["peak"]


def test_values_are_those_between_start_and_end(tmp_path, monkeypatch):
    tick = os.sysconf("SC_CLK_TCK")
    throttle = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    clock = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
    write(
        tmp_path,
        {
            throttle.format(0, "core"): 3,
            throttle.format(0, "package"): 10,
            clock.format(0): 1_000_000,
            clock.format(1): 3_000_000,
            "sys/class/thermal/thermal_zone0/temp": 40_000,
            "sys/class/thermal/thermal_zone1/temp": 71_500,
            "proc/stat": "cpu  0 0 0 0 0 0 0 0 0 0",
        },
    )
    now = iter((100.0, 110.0))
    monkeypatch.setattr(sensors.time, "monotonic", lambda: next(now))
    own = iter(((1.0, 0, 0, 0, 0), (5.0, 0, 0, 0, 0)))
    monkeypatch.setattr(sensors.os, "times", lambda: next(own))
    with Watch(2, root=tmp_path) as watch:
        watch.sample()
        # 10 s of two CPUs: 4 s of this process, 6 s of others, 1 s stolen.
        write(tmp_path, {"proc/stat": f"cpu  {7 * tick} 0 {3 * tick} 0 0 0 0 {tick} 0 0"})
        write(tmp_path, {throttle.format(0, "package"): 14})
    facts = watch.facts()
    assert facts["CPU throttling, events"] == 4
    assert facts["CPU clock, median MHz"] == 2000 and facts["hottest zone, C"] == 71.5
    assert facts["other work on the CPUs, %"] == pytest.approx(30)
    assert facts["stolen by the hypervisor, %"] == pytest.approx(5)


@pytest.mark.parametrize(
    ("line", "watts"),
    [
        ("RAM 3/7 CPU [2%@729] GPU@40C VDD_IN 5080mW/4990mW VDD_CPU_GPU_CV 800mW/800mW", 5.08),  # Orin Nano
        (
            "VDD_GPU_SOC 3200mW/3200mW VDD_CPU_CV 800mW/800mW VIN_SYS_5V0 3900mW/39mW VDDQ_VDD2_1V8AO 5mW/5",
            7.9,
        ),
        (
            "GPU 100mW/100mW CPU 400mW/400mW SOC 1000mW/900mW CV 0mW/0mW VDDRQ 200mW/200mW SYS5V 1500mW/1mW",
            3.2,
        ),
        ("POM_5V_IN 2532/2698 POM_5V_GPU 124/160 POM_5V_CPU 413/512", 2.532),  # Nano
        ("RAM 3/7 CPU [2%@729] GPU@40C", None),
    ],
)
def test_power_of_a_jetson(line, watts):
    assert board_watts(line) == (None if watts is None else pytest.approx(watts))


def test_tegrastats_is_read_while_it_runs_and_stopped(tmp_path):
    tool = tmp_path / "tegrastats"
    tool.write_text("#!/bin/sh\necho VDD_IN 4000mW/4000mW\necho VDD_IN 6000mW/5000mW\nexec sleep 60\n")
    tool.chmod(0o755)
    running = Tegrastats(str(tool))
    while os.fstat(running._written.fileno()).st_size < 40:
        pass
    running.close()
    assert running.watts() == pytest.approx(5.0) and running._process.poll() is not None


class FakeNvml:
    """A hot GPU; its driver has an energy counter only if requested."""

    NVMLError = type("NVMLError", (Exception,), {})
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    def __init__(self, energies=()):
        self.energies, self.clocks = iter(energies), iter((1700, 1200, 1500))

    def nvmlDeviceGetTotalEnergyConsumption(self, device):
        try:
            return next(self.energies)
        except StopIteration:
            raise self.NVMLError from None

    def nvmlDeviceGetMemoryInfo(self, device):
        return SimpleNamespace(used=300 * 2**20)

    def nvmlDeviceGetPowerUsage(self, device):
        return 20_000

    def nvmlDeviceGetClockInfo(self, device, kind):
        return next(self.clocks)

    def nvmlDeviceGetTemperature(self, device, kind):
        return 83

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, device):
        return 0x44

    def nvmlShutdown(self):
        pass


def test_a_gpu_by_nvml(monkeypatch):
    now = iter((10.0, 20.0))
    monkeypatch.setattr(nvidia.time, "monotonic", lambda: next(now))
    gpu = Nvml(FakeNvml(energies=(1_000_000, 1_150_000)), "device")
    for _ in range(3):
        gpu.sample()
    gpu.close()
    assert gpu.facts() == {
        "GPU, W": 15.0,
        "GPU memory of all processes, MiB": 300.0,
        "GPU clock, median MHz": 1500,
        "GPU clock, lowest MHz": 1200,
        "GPU hottest, C": 83,
        "GPU throttling": "power cap, hardware thermal slowdown",
    }


def test_a_gpu_without_an_energy_counter_is_sampled():
    gpu = Nvml(FakeNvml(), "device")
    gpu.sample()
    gpu.close()
    assert gpu.facts()["GPU, W"] == 20.0
    assert reason_names(0x1) == "none" and reason_names(None) is None
