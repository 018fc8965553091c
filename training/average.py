# SPDX-License-Identifier: Apache-2.0
"""Average the weights of two checkpoints, the second of which was trained from the first.

``python -m training.average BEFORE AFTER --out MEAN``. The midpoint between the weights before and after a
short training is often the better model (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
2022). Not in the papers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.cli.outputs import check_outputs
from evitsam_ros.models.registry import read_checkpoint

from .checkpoint import save_weights
from .command import run_command

if TYPE_CHECKING:
    from torch import Tensor


def average(before: dict[str, Tensor], after: dict[str, Tensor], share: float = 0.5) -> dict[str, Tensor]:
    """Interpolate: ``share`` of ``after`` and the rest of ``before``, in float32; integers are those of
    ``after``.

    Raises:
        ValueError: a tensor is missing from one of them, or has another shape; the message names it. Or the
            share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the share is {share}; expected 0 to 1")
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in (before, after)]
    for name in sorted(set(shapes[0]) | set(shapes[1])):
        if shapes[0].get(name) != shapes[1].get(name):
            raise ValueError(f"{name} is {shapes[0].get(name)} in one and {shapes[1].get(name)} in the other")
    return {
        name: before[name].float().lerp(tensor.float(), share) if tensor.is_floating_point() else tensor
        for name, tensor in after.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path, help="safetensors that the training started from")
    parser.add_argument("after", type=Path, help="safetensors that it ended with")
    parser.add_argument("--share", type=float, default=0.5, help="weight of the second one, 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="safetensors to write")
    options = parser.parse_args(arguments)
    return run_command("average", lambda: _average(options))


def _average(options: argparse.Namespace) -> int:
    check_outputs(options)
    before, after = read_checkpoint(options.before), read_checkpoint(options.after)
    save_weights(average(before, after, options.share), options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
