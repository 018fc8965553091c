# SPDX-License-Identifier: Apache-2.0
"""Score a semantic or super-resolution bundle, or a classifier's checkpoint.

``python -m training.evaluate_dense semantic --model BUNDLE --data DATA --kind camvid --split test``;
``python -m training.evaluate_dense upscale --model BUNDLE --images FOLDER``;
``python -m training.evaluate_dense classify --model efficientvit_cls_b1 --checkpoint FILE --data VAL``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from evitsam_ros.cli.deprecated import rename_options
from evitsam_ros.cli.options import add_backend, add_json, add_model
from evitsam_ros.dense import SemanticSegmenter, Upscaler

from .bicubic import double_size, even_crop, half_size
from .dense_views import Photograph, read_photographs
from .evaluate import RENAMED
from .evaluation.classification import read_class_folders, score_classifier
from .evaluation.image_quality import psnr_y, ssim_y
from .evaluation.label_maps import check_used, score_semantic
from .evaluation.report import Table, count, run_evaluation
from .label_maps import LAYOUTS, read_label_maps, read_photograph
from .records import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Pixels cropped on each side before scoring: equal to the scale, as usual in the literature.
BORDER = 2


def score_upscale(upscaler: Upscaler | None, records: Iterable[Photograph]) -> Table:
    """Score PSNR and SSIM on Y of bicubic and of the network; images are halved first.

    Raises:
        DataError: no image can be used.
    """
    methods = {"bicubic": double_size} | (
        {} if upscaler is None else {upscaler.bundle.name: upscaler.upscale}
    )
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    skipped = Skipped()
    for record in records:
        try:
            original = np.ascontiguousarray(even_crop(read_photograph(record.image)))
            small = half_size(original)
            bicubic = _scores(double_size(small), original)
        except ValueError as error:
            skipped.add("unusable images", f"{record.name}: {error}")
            continue
        scores["bicubic"].append(bicubic)
        if upscaler is not None:
            scores[upscaler.bundle.name].append(_scores(upscaler.upscale(small), original))
    check_used(len(scores["bicubic"]), skipped)
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    return {
        name: {"PSNR-Y": float(psnr), "SSIM-Y": float(ssim), "images": len(scores[name])}
        for name, (psnr, ssim) in means.items()
    }


def _scores(image: np.ndarray, original: np.ndarray) -> tuple[float, float]:
    return psnr_y(image, original, BORDER), ssim_y(image, original, BORDER)


def semantic(options: argparse.Namespace) -> dict[str, Table]:
    """Score mean IoU on label maps."""
    records = read_label_maps(options.kind, options.data, options.split)[: options.limit]
    segmenter = SemanticSegmenter.open(options.model, options.backend)
    return {f"{options.kind} {options.split}": score_semantic(segmenter, tqdm(records, disable=None))}


def upscale(options: argparse.Namespace) -> dict[str, Table]:
    """Score PSNR-Y and SSIM-Y beside bicubic."""
    records = read_photographs(options.images, ("*",))[: options.limit]
    upscaler = None if options.model is None else Upscaler.open(options.model, options.backend)
    return {options.images.name: score_upscale(upscaler, tqdm(records, disable=None))}


def classify(options: argparse.Namespace) -> dict[str, Table]:
    """Score top-1 and top-5 accuracy on ImageNet."""
    from evitsam_ros.models.efficientvit.build import create_network
    from evitsam_ros.models.network_specs import network_spec

    spec = network_spec(options.model)
    if spec.kind != "classify":
        raise ValueError(f"{spec.name} is not a classifier; 'evitsam models --dense' lists them")
    side = options.image_size or spec.size[0]
    share = options.crop or (0.95 if spec.backbone in ("b0", "b1") else 1.0)
    network = create_network(spec.name, options.checkpoint, size=(side, side))
    records = read_class_folders(options.data, spec.classes)[: options.limit]
    score = score_classifier(network, spec, tqdm(records, disable=None), side, share)
    return {f"ImageNet, {side} pixels, crop {share:g}": {spec.name: score}}


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = top.add_subparsers(dest="command", required=True)
    for job in (semantic, upscale):
        added = commands.add_parser(job.__name__, help=job.__doc__)
        added.set_defaults(job=job)
        add_model(added, required=True)
        added.set_defaults(model_needed=job is semantic)
        add_backend(added)
        added.add_argument("--limit", type=count, help="only the first so many images")
        add_json(added)
        if job is upscale:
            added.add_argument("--images", type=Path, required=True, help="folder of JPEG and PNG files")
            continue
        added.add_argument("--data", type=Path, required=True, help="folder of the data set")
        added.add_argument("--kind", required=True, choices=sorted(LAYOUTS), help="layout of the data set")
        added.add_argument(
            "--split", default="val", help="split, by its name in the data set (default: %(default)s)"
        )
    added = commands.add_parser(classify.__name__, help=classify.__doc__)
    added.set_defaults(job=classify, model_needed=True)
    added.add_argument("--model", required=True, help="classifier, such as efficientvit_cls_b1")
    added.add_argument("--checkpoint", type=Path, required=True, help="official checkpoint, or one of timm")
    added.add_argument("--data", type=Path, required=True, help="folder with one folder per class")
    added.add_argument("--image-size", type=count, help="side in pixels (default: 224)")
    added.add_argument(
        "--crop", type=float, help="share of the short side (default: 0.95 for B0, B1; or 1.0)"
    )
    added.add_argument("--limit", type=count, help="only the first so many images")
    add_json(added)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    words = rename_options(sys.argv[1:] if arguments is None else arguments, RENAMED)
    options = parser().parse_args(words)
    if options.model_needed and not options.model:
        parser().error("the following arguments are required: --model")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_evaluation("evaluate_dense", options, lambda given: given.job(given))


if __name__ == "__main__":
    sys.exit(main())
