# SPDX-License-Identifier: Apache-2.0
"""Measure images per second of image encoders in PyTorch, by batch (EfficientViT-SAM, table 1).

``python -m training.throughput [--device cuda --precision fp16] [--compare]``. The weights are random: they
do not change the time. For TensorRT and the other runtimes of a bundle, see ``evitsam profile --batch``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from evitsam_ros.cli.outputs import check_outputs
from evitsam_ros.models import SPECS, create_model, model_spec

from .command import run_command
from .evaluation.report import count
from .inputs import channels_last

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

MODELS = tuple(name for name, spec in SPECS.items() if spec.family == "efficientvit_sam")
#: Models that ``--compare`` adds.
REFERENCE = "sam_vit_h"
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: Min number of timed calls of a batch.
MIN_CALLS = 3
#: Max seconds of timing for each batch.
MAX_SECONDS = 3600.0


@dataclass(frozen=True)
class Rate:
    """Hold the images per second of calls of ``batch`` images; None, and the reason, if the call failed."""

    batch: int
    images_per_s: float | None
    problem: str = ""


@dataclass(frozen=True)
class Encoder:
    """Hold one encoder: parameters of its model in millions, multiply-adds in billions, and its rates."""

    name: str
    parameters: float
    gmac: float
    rates: list[Rate]

    @property
    def best(self) -> Rate | None:
        """The batch of the highest rate; None if no batch ran."""
        ran = [rate for rate in self.rates if rate.images_per_s is not None]
        return max(ran, key=lambda rate: rate.images_per_s or 0.0, default=None)


def build(name: str, device: torch.device) -> nn.Module:
    """Build the encoder of a model in its deployed form, SAM's in its plain form, with random weights."""
    model = create_model(name)
    model = model if name == REFERENCE else model.deploy()
    return channels_last(model.image_encoder).to(device).eval().requires_grad_(False)


def measure(
    encoder: nn.Module, side: int, batches: list[int], device: torch.device, precision: str, seconds: float
) -> list[Rate]:
    """Time calls of each batch of ``(B, 3, side, side)`` images for ``seconds`` each.

    A batch that does not fit into the memory ends the list.
    """
    rates = []
    for batch in batches:
        try:
            images = torch.randn(batch, 3, side, side, device=device)
            images = images.contiguous(memory_format=torch.channels_last)
            rates.append(
                Rate(batch, batch / _median_time(_call(encoder, images, precision), device, seconds))
            )
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "memory" not in str(error):
                raise
            rates.append(Rate(batch, None, "does not fit into the memory"))
            break
    return rates


def _call(encoder: nn.Module, images: torch.Tensor, precision: str) -> Callable[[], object]:
    kind, enabled = PRECISIONS[precision], precision != "fp32"

    def call() -> object:
        with torch.inference_mode(), torch.autocast(images.device.type, kind, enabled=enabled):
            return encoder(images)

    return call


def _median_time(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Return the median seconds of a call, after one warm-up call."""
    times: list[float] = []
    for number in range(1_000_000):
        _wait(device)
        begun = time.perf_counter()
        call()
        _wait(device)
        if number:
            times.append(time.perf_counter() - begun)
        if len(times) >= MIN_CALLS and sum(times) > seconds:
            break
    return sorted(times)[len(times) // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def find_device(name: str) -> torch.device:
    """Return the device by name, ``auto`` for a GPU if there is one.

    Raises:
        ValueError: The device does not exist.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device {name!r} cannot be used ({reason}); expected cpu, cuda or cuda:N"
        ) from error
    return device


def markdown(title: str, encoders: list[Encoder]) -> str:
    """Format the table; with the reference among the encoders, add their speed relative to it."""
    reference = next((e.best for e in encoders if e.name == REFERENCE), None)
    batches = list(dict.fromkeys(rate.batch for encoder in encoders for rate in encoder.rates))
    head = ["encoder", "parameters, M", "GMAC", *(f"batch {b}, images/s" for b in batches), "best batch"]
    head += [f"times {REFERENCE}"] if reference else []
    lines = [title, "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for encoder in encoders:
        rates = {rate.batch: rate for rate in encoder.rates}
        cells = [encoder.name, f"{encoder.parameters:.1f}", f"{encoder.gmac:.1f}"]
        cells += [_cell(rates.get(batch)) for batch in batches]
        best = encoder.best
        cells.append("-" if best is None else str(best.batch))
        if reference and reference.images_per_s:
            cells.append(
                f"{best.images_per_s / reference.images_per_s:.1f}" if best and best.images_per_s else "-"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rate: Rate | None) -> str:
    if rate is None:
        return "-"
    return rate.problem if rate.images_per_s is None else f"{rate.images_per_s:.3g}"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    top.add_argument(
        "--models",
        nargs="+",
        default=list(MODELS),
        help="models to measure (default: all of EfficientViT-SAM)",
    )
    top.add_argument("--compare", action="store_true", help=f"also {REFERENCE}, the paper's reference")
    top.add_argument("--batches", type=count, nargs="+", default=[1, 2, 4, 8, 16, 32], metavar="N")
    top.add_argument("--device", default="auto", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    top.add_argument(
        "--precision", choices=sorted(PRECISIONS), help="precision (default: fp16 on a GPU, else fp32)"
    )
    top.add_argument("--seconds", type=_seconds, default=5.0, help="seconds of timing for each batch")
    top.add_argument("--json", type=Path, metavar="PATH", help="also write the rates as JSON")
    return top


def _seconds(text: str) -> float:
    if not 0 <= (value := float(text)) <= MAX_SECONDS:  # NaN is outside too
        raise argparse.ArgumentTypeError(f"{text}; expected 0 to {MAX_SECONDS:g} seconds")
    return value


def run(options: argparse.Namespace) -> str:
    """Measure the encoders and return the table."""
    device = find_device(options.device)
    precision = options.precision or ("fp16" if device.type == "cuda" else "fp32")
    names = [*options.models, *([REFERENCE] if options.compare and REFERENCE not in options.models else [])]
    specs = [model_spec(name) for name in names]  # an unknown name fails before the measurement
    encoders = []
    for spec in specs:
        encoder = build(spec.name, device)
        rates = measure(encoder, spec.image_size, sorted(options.batches), device, precision, options.seconds)
        encoders.append(Encoder(spec.name, spec.params / 1e6, spec.macs / 1e9, rates))
        del encoder
    title = f"PyTorch {torch.__version__}, {_describe(device)}, {precision}, random weights, encoders only"
    if options.json:
        content = {"title": title, "encoders": [asdict(encoder) for encoder in encoders]}
        options.json.write_text(json.dumps(content, indent=1))
    return markdown(title, encoders)


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = parser().parse_args(arguments)

    def measure_all() -> int:
        check_outputs(options)
        print(run(options))
        return 0

    return run_command("throughput", measure_all)


if __name__ == "__main__":
    sys.exit(main())
