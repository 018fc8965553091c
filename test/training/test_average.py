# SPDX-License-Identifier: Apache-2.0
"""Averaged checkpoints: by hand, and what does not fit is named."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.average import average, main


def state(value: float, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "weight": torch.full((2, 3), value, dtype=torch.float16),
        "count": torch.tensor(int(value)),
        **more,
    }


def test_floats_are_averaged_and_counts_are_the_later_ones():
    mean = average(state(1.0), state(3.0))
    assert mean["weight"].dtype == torch.float32 and (mean["weight"] == 2.0).all() and mean["count"] == 3
    assert (average(state(1.0), state(3.0), 0.25)["weight"] == 1.5).all()


def test_invalid_combinations_are_named():
    with pytest.raises(ValueError, match=r"more is None in one and \(1,\) in the other"):
        average(state(1.0), state(1.0, more=torch.zeros(1)))


def test_the_command_writes_the_mean(tmp_path, capsys):
    paths = [tmp_path / name for name in ("before.safetensors", "after.safetensors", "mean.safetensors")]
    for path, value in zip(paths, (2.0, 6.0), strict=False):
        save_file(state(value), path)
    assert main([str(paths[0]), str(paths[1]), "--out", str(paths[2])]) == 0
    assert (load_file(paths[2])["weight"] == 4.0).all()
    assert main([str(paths[0]), str(tmp_path / "missing.safetensors"), "--out", str(paths[2])]) == 2
    assert "missing.safetensors" in capsys.readouterr().err
