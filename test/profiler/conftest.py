# SPDX-License-Identifier: Apache-2.0
"""Provide made-up reports, and a real one that several tests share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from evitsam_ros.cli import main
from evitsam_ros.profiler.report import PeakRate, Report, Run, Stage, Throughput

from ..nodes.colour_classes import write_colour_classes


@pytest.fixture(scope="session")
def made_up():
    """Return a function that makes a report of samples by stage, of one image or several alternating ones."""

    def make(samples: dict[str, list[float]], images: int = 1, **changes) -> Report:
        runs = len(next(iter(samples.values())))
        entries = [{"name": f"p{n}", "sha256": f"{n:064x}", "size": [640, 480]} for n in range(images)]
        values = {
            "command": "evitsam profile --model made_up",
            "date": "2026-01-02T03:04:05+00:00",
            "made_by": {"package": "evitsam_ros 0", "packages": {"numpy": "2"}, "commit": None},
            "machine": {"CPU": "<made & up>", "GPU": None},
            "model": {"name": "made_up", "networks": {"encoder": {"sha256": "0" * 64, "runtime": "none 1"}}},
            "settings": {"runs": runs, "warmup": 1, "pictures": entries},
            "stages": [Stage(name, "host", list(values), 1e9, 1e6, 5.0) for name, values in samples.items()],
            "peak_rates": [PeakRate("matrix product", "GMAC/s", "float32", [50.0] * runs)],
            "throughput": [Throughput(1, 3.5, 3), Throughput(2, None, 0, "refused by the runtime: no")],
            "memory": {"at most": 100.0, "now": None},
            "watched": {"seconds": 1.0, "GPU throttling": None},
            "runs": [Run(10.0 * n, n % images) for n in range(runs)],
        }
        return Report(**(values | changes))

    return make


@pytest.fixture(scope="session")
def profiled(tmp_path_factory):
    """Profile the shipped bundle, three runs, and return the files: json, html and trace."""
    folder = tmp_path_factory.mktemp("profile")
    semantic = write_colour_classes(folder / "colours")
    files = {kind: folder / f"profile.{kind}" for kind in ("json", "html", "trace")}
    words = [
        "profile",
        "--runs",
        "3",
        "--warmup",
        "1",
        "--prompts",
        "1,3",
        "--max-prompts",
        "32",
        "--batch",
        "1,2",
        "--closer-looks",
        "1",
    ]
    for kind, path in files.items():
        words += [f"--{kind}", str(path)]
    words += ["--semantic-model", str(semantic)]
    words += ["--size", "320x240", "--backend", "onnxruntime"]
    assert main(words) == 0
    return SimpleNamespace(**files, words=words)
