# SPDX-License-Identifier: Apache-2.0
"""Test facts of made-up machines, and commits of a made-up checkout."""

import subprocess

from evitsam_ros.profiler.machine import commit, machine_facts, made_by

from .system_files import write


def test_facts_are_read_from_files_of_the_machine(tmp_path):
    write(
        tmp_path,
        {
            "proc/cpuinfo": "processor : 0\nmodel name : Some CPU @ 3 GHz\nflags : sse hypervisor",
            "proc/meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": 3_200_000,
            "sys/devices/system/cpu/intel_pstate/no_turbo": 1,
            "sys/fs/cgroup/cpu.max": "150000 100000",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3\nmore",
        },
    )
    facts = machine_facts(tmp_path)
    assert facts["CPU"] == "Some CPU @ 3 GHz" and facts["memory, GiB"] == 16
    assert (facts["governor"], facts["highest clock, MHz"], facts["turbo"]) == ("powersave", 3200, "off")
    assert facts["CPU quota"] == "1.5 CPUs" and facts["virtual machine"] == "yes"
    assert facts["JetPack"] == "R36 (release), REVISION: 4.3"


def test_facts_without_files_are_none(tmp_path):
    facts = machine_facts(tmp_path)
    untold = ("memory, GiB", "governor", "highest clock, MHz", "turbo", "CPU quota", "JetPack", "board")
    assert all(facts[name] is None for name in (*untold, "virtual machine"))


def test_the_commit_is_marked_if_files_differ(tmp_path):
    assert commit(tmp_path) is None

    def git(*words):
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *name, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "first")
    clean = commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("two")
    assert commit(tmp_path) == f"{clean}+changes"


def test_versions_are_those_of_installed_packages():
    import numpy

    found = made_by()
    assert found["packages"]["numpy"] == numpy.__version__ and "onnxruntime" in found["packages"]
