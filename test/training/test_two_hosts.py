# SPDX-License-Identifier: Apache-2.0
"""Training over two hosts: two network namespaces where they are permitted, one rank each, gloo and c10d."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from training.dataset import RankSampler, RecordSampler

from .shapes_recipe import STAGES, recipe

DRIVER = Path(__file__).with_name("two_hosts.py")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
STEPS = 4
#: Parameters after four steps at a rate of 1e-3; sums are taken in another order.
TOLERANCE = 2e-4


class Hosts:
    """Two network namespaces with a cable between them; loopback where namespaces are not permitted."""

    def __init__(self) -> None:
        self.holders = []
        try:
            for _ in range(2):
                self.holders.append(subprocess.Popen(["unshare", "--net", "sleep", "1200"]))
            time.sleep(0.5)
            second = self.holders[1].pid
            self._run(0, f"ip link add ev0 type veth peer name ev1 netns {second}")
            for number, address in enumerate(ADDRESSES):
                self._run(number, f"ip addr add {address}/24 dev ev{number}")
                self._run(number, f"ip link set ev{number} up")
                self._run(number, "ip link set lo up")
            self.apart = True
        except (OSError, subprocess.CalledProcessError):
            self.close()
            self.apart = False

    def _run(self, number: int, words: str) -> None:
        command = [*self.prefix(number), *words.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def prefix(self, number: int) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holders[number].pid}/ns/net"] if self.holders else []

    def close(self) -> None:
        for holder in self.holders:
            holder.kill()
            holder.wait()
        self.holders = []


@pytest.fixture(scope="module")
def hosts():
    made = Hosts()
    yield made
    made.close()


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory) -> Path:
    stage = {**STAGES[0], "steps": STEPS, "warmup": 0}
    more = {"geometry": {"steps": 0, "rehearse": 0}}
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe([stage], **more).model_dump(mode="json")))
    return path


def train_on_two(
    hosts: Hosts, recipe_file: Path, data: Path, out: Path, *more: str, restarts: int = 0
) -> None:
    """Run one rank on each host until both have ended."""
    out.mkdir()
    head = ADDRESSES[0] if hosts.apart else "127.0.0.1"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = []
    for number in range(2):
        if hosts.apart:
            environment["GLOO_SOCKET_IFNAME"] = f"ev{number}"
        running.append(
            subprocess.Popen(
                [
                    *hosts.prefix(number),
                    *(
                        sys.executable,
                        "-m",
                        "torch.distributed.run",
                        "--nnodes",
                        "2",
                        "--nproc-per-node",
                        "1",
                    ),
                    *("--node-rank", str(number), "--rdzv-backend", "c10d", "--rdzv-id", out.name),
                    *("--rdzv-endpoint", f"{head}:29417", "--max-restarts", str(restarts)),
                    *("--rdzv-conf", f"is_host={int(number == 0)},read_timeout=300,join_timeout=600"),
                    *("--local-addr", ADDRESSES[number] if hosts.apart else "127.0.0.1"),
                    *(str(DRIVER), "two", str(recipe_file), str(data), str(out), *more),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
            )
        )
    try:
        printed = [process.communicate(timeout=600)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(p[-6000:] for p in printed)


@pytest.fixture(scope="module")
def undisturbed(hosts, recipe_file, shapes_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("two") / "run"
    train_on_two(hosts, recipe_file, shapes_data, out)
    return out


@pytest.mark.slow
def test_two_hosts_are_one_process_with_the_batches_of_both(undisturbed, recipe_file, shapes_data, tmp_path):
    """Parameters agree; batch norm normalises each rank's batch by itself, in both runs."""
    words = [sys.executable, str(DRIVER), "one", str(recipe_file), str(shapes_data), str(tmp_path)]
    subprocess.run(words, check=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"})
    alone = load_file(tmp_path / "parameters0.safetensors")
    ranks = [load_file(undisturbed / f"parameters{rank}.safetensors") for rank in (0, 1)]
    for name, value in alone.items():
        assert torch.equal(ranks[0][name], ranks[1][name]), name
        torch.testing.assert_close(ranks[0][name], value, rtol=0, atol=TOLERANCE, msg=name)
    # Both ranks together had the pictures of the one process, in every step.
    had = [json.loads((undisturbed / f"names{rank}.json").read_text()) for rank in (0, 1)]
    both = json.loads((tmp_path / "names0.json").read_text())
    assert sorted(had[0] + had[1]) == sorted(both) and had[0] != had[1]


@pytest.mark.slow
def test_a_killed_rank_does_not_change_the_result(hosts, undisturbed, recipe_file, shapes_data, tmp_path):
    """torchrun starts both ranks again, and they end with the same weights, bit for bit."""
    out = tmp_path / "run"
    train_on_two(hosts, recipe_file, shapes_data, out, "2", restarts=2)
    assert (out / "died").exists()
    complete, cut = (load_file(folder / "parameters0.safetensors") for folder in (undisturbed, out))
    assert all(torch.equal(complete[name], cut[name]) for name in complete)
    weights = [load_file(folder / "model.safetensors") for folder in (undisturbed, out)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(("ranks", "workers"), [(1, 1), (2, 1), (2, 3), (4, 2)])
def test_no_image_is_used_twice_in_an_epoch(ranks, workers):
    """Over nodes; loaders' processes share the indices of their rank among them."""
    count, batch = 48, 4
    sampler = RecordSampler({"a": list(range(30)), "b": list(range(30, count))}, "records", {}, seed=3)
    steps = count // (batch * ranks)
    for epoch in range(2):
        seen = []
        for rank in range(ranks):
            turns = list(RankSampler(epoch * steps, (epoch + 1) * steps, batch, rank, ranks))
            parts = [turns[i * batch : (i + 1) * batch] for i in range(len(turns) // batch)]
            for worker in range(workers):  # as torch's loader deals batches out
                seen += [sampler.draw(index, None, 0) for part in parts[worker::workers] for index in part]
        assert sorted(seen) == list(range(count))
