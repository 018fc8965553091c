# SPDX-License-Identifier: Apache-2.0
"""Give a semantic bundle an int8 form of its network: quantise, compare mean IoU, and only then keep it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from evitsam_ros.autotune.dense_proof import dense_feeds
from evitsam_ros.backends import open_runtime
from evitsam_ros.backends.openvino_backend import import_openvino
from evitsam_ros.bundle import DENSE_NETWORK
from evitsam_ros.bundle_folder import new_bundle
from evitsam_ros.dense import SemanticBundle, SemanticSegmenter, open_semantic

from ..evaluation.label_maps import score_semantic
from ..label_maps import LabelRecord, read_label_maps
from .forms import PRECISION, copy_files, made_with, save_form, side_by_side, write_description
from .held_out import Figures, exceeded_limits
from .post_training import quantize_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class SemanticOptions:
    """What to quantise, with which images, and where to measure it.

    Attributes:
        model: a bundle's name or folder.
        data: folder of the data set.
        kind: its layout, of :data:`~training.label_maps.LAYOUTS`.
        out: folder of the new bundle; None: the form is added to the bundle itself.
        training: split of the images that the ranges are measured on.
        images: how many of these.
        held_out: another split, for mean IoU and pixel accuracy.
        limit: only the first so many held-out images; None: all.
        threads: CPU threads while measuring; 0: as many as cores.
    """

    model: str
    data: Path
    kind: str
    out: Path | None = None
    training: str = "train"
    images: int = 64
    held_out: str = "val"
    limit: int | None = None
    threads: int = 0


def quantize_semantic(options: SemanticOptions, log: Callable[[str], None] = print) -> Path:
    """Quantise the network of a semantic bundle; return the folder of the bundle that has the form.

    Raises:
        BundleError: there is no such semantic bundle, or it is damaged.
        BackendError: OpenVINO is not installed.
        ValueError: NNCF is not installed, the data cannot be used, or int8 loses more than its limits;
            nothing is written.
    """
    if options.training == options.held_out:
        raise ValueError(f"--train-on and --held-out are both {options.held_out}; expected two splits")
    bundle = open_semantic(options.model)
    images = read_label_maps(options.kind, options.data, options.training)
    images = random.Random(0).sample(images, min(options.images, len(images)))
    held_out = read_label_maps(options.kind, options.data, options.held_out)[: options.limit]
    place = options.out or bundle.folder.resolve()
    with new_bundle(place) as folder:
        log(f"quantising {bundle.name} with {len(images)} images of {options.training}")
        openvino = import_openvino()
        model = openvino.Core().read_model(str(bundle.networks[DENSE_NETWORK].resolve()))
        model = quantize_network(model, images, partial(_input, bundle))
        copy_files(bundle, DENSE_NETWORK, folder)
        form = save_form(model, DENSE_NETWORK, folder)
        form["made"] = made_with(options.training, len(images), accuracy_aware=False)
        write_description(bundle, DENSE_NETWORK, folder, form)
        log(f"measuring float32 and {PRECISION} on {len(held_out)} images of {options.held_out}")
        before = _figures(bundle, "openvino", options, held_out)
        after = _figures(open_semantic(folder), f"openvino_{PRECISION}", options, held_out)
        for name in after:
            log(f"{name:20} float32 {before[name]:.4f}  {PRECISION} {after[name]:.4f}")
        if losses := exceeded_limits(before, after):
            raise ValueError(
                f"{PRECISION} loses more than it may: {'; '.join(losses)}. Nothing was written; try more "
                "--calibration-images"
            )
        form["held_out"] = {
            "data": f"{options.kind} {options.held_out}",
            "images": len(held_out),
            "figures": side_by_side(before, after),
        }
        write_description(bundle, DENSE_NETWORK, folder, form)
        open_semantic(folder)
    return place


def _input(bundle: SemanticBundle, record: LabelRecord) -> Any:
    """Return the network's input ``(1, 3, H, W)`` float32 for an image."""
    (feed,) = dense_feeds(bundle, record.read_image())
    return feed["image"]


def _figures(
    bundle: SemanticBundle, backend: str, options: SemanticOptions, records: Sequence[LabelRecord]
) -> Figures:
    """Score a bundle on a backend."""
    segmenter = SemanticSegmenter(bundle, open_runtime(bundle, backend, options.threads))
    try:
        mean = score_semantic(segmenter, records)["mean"]
    finally:
        segmenter.close()
    return {"mean_iou": float(mean["IoU"]), "accuracy": float(mean["accuracy"])}
