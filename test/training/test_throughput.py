# SPDX-License-Identifier: Apache-2.0
"""Throughput of encoders: the rate is that of the calls, and the best batch is chosen by it."""

import json
import time

import pytest
import torch

from training.throughput import MODELS, REFERENCE, Encoder, Rate, build, main, markdown, measure

CPU = torch.device("cpu")


class Sleeps(torch.nn.Module):
    """Takes 20 ms a call and 2 ms an image."""

    def forward(self, images):
        if len(images) > 8:
            raise torch.OutOfMemoryError("out of memory")
        time.sleep(0.02 + 0.002 * len(images))
        return images


def test_rates_are_images_by_the_time_of_a_call():
    rates = measure(Sleeps(), 8, [1, 4, 16, 32], CPU, "fp32", 0.05)
    assert [rate.batch for rate in rates] == [1, 4, 16]
    # A busy machine can only be slower.
    assert 0 < rates[0].images_per_s <= 1 / 0.022 and 0 < rates[1].images_per_s <= 4 / 0.028
    assert rates[2] == Rate(16, None, "does not fit into the memory")


def test_the_best_batch_and_the_ratio_to_sam():
    ours = Encoder("l0", 34.8, 34.7, [Rate(1, 40.0), Rate(2, 60.0), Rate(4, 50.0)])
    sam = Encoder(REFERENCE, 641.1, 2976.0, [Rate(1, 3.0), Rate(2, None, "does not fit into the memory")])
    lines = markdown("t", [ours, sam]).splitlines()
    assert lines[-2] == "| l0 | 34.8 | 34.7 | 40 | 60 | 50 | 2 | 20.0 |"
    assert lines[-1].endswith("| 3 | does not fit into the memory | - | 1 | 1.0 |")
    assert "times" not in markdown("t", [ours])


def test_all_five_encoders_are_measured_by_default():
    assert [name.rsplit("_", 1)[1] for name in MODELS] == ["l0", "l1", "l2", "xl0", "xl1"]


def test_the_command_writes_a_table_and_json(tmp_path, capsys, monkeypatch):
    # SAM ViT-H takes minutes on two cores: the smallest encoder of the registry stands for it.
    monkeypatch.setattr("training.throughput.REFERENCE", "efficientnet_sam_lite0")
    file = tmp_path / "rates.json"
    arguments = ["--models", "lite_sam", "--batches", "1", "--seconds", "0", "--device", "cpu", "--compare"]
    assert main([*arguments, "--json", str(file)]) == 0
    assert "| lite_sam | 4.2 | 10.9 |" in capsys.readouterr().out
    encoders = json.loads(file.read_text())["encoders"]
    assert [encoder["name"] for encoder in encoders] == ["lite_sam", "efficientnet_sam_lite0"]
    assert all(encoder["rates"][0]["images_per_s"] > 0 for encoder in encoders)


def test_the_reference_is_sam_vit_h_in_its_plain_form():
    from evitsam_ros.models.sam_vit import SamVit

    with torch.device("meta"):
        encoder = build(REFERENCE, torch.device("meta"))
    assert isinstance(encoder, SamVit)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(637.03, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--device", "gpu"], "device 'gpu' cannot be used"), (["--models", "l9"], "model 'l9' is unknown")],
)
def test_unknown_devices_and_models_are_one_line(arguments, message, capsys):
    assert main([*arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
