# SPDX-License-Identifier: Apache-2.0
"""Add an int8 form of the encoder to a bundle, if its metrics on held-out images pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evitsam_ros.backends import open_runtime
from evitsam_ros.bundle import open_bundle
from evitsam_ros.bundle_folder import new_bundle
from evitsam_ros.segment import Segmenter

from ..annotations import read_folder
from ..evaluation.recall import check_exhaustive
from ..records import Record, readable
from .calibration import TRAINING, training_records
from .forms import PRECISION, copy_files, made_with, save_form, side_by_side, write_description
from .held_out import STRICT, Figures, exceeded_limits, measure
from .post_training import quantize_encoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NETWORK = "encoder"


@dataclass(frozen=True)
class Options:
    """Configure the quantisation: network, images, and measurement.

    Attributes:
        model: a bundle's name or folder.
        data: folder with ``images/`` and ``annotations/``.
        out: folder of the new bundle; None: add the form to the bundle itself.
        training: annotation files of training images, without ``.json``.
        images: number of training images.
        held_out: annotation file of held-out images for boxes and clicks.
        everything: the same for everything mode; empty: not measured.
        limit, everything_limit: max held-out images of each; None: all.
        clicks: numbers of clicks to measure.
        accuracy_aware: return layers to float until the loss of boxes on the training images is within its
            limit.
        threads: CPU threads while measuring; 0: as many as cores.
    """

    model: str
    data: Path
    out: Path | None = None
    training: tuple[str, ...] = ("*_train",)
    images: int = 64
    held_out: str = "coco_val"
    everything: str = "planar_ade_val"
    limit: int | None = None
    everything_limit: int | None = None
    clicks: tuple[int, ...] = (1, 3, 5)
    accuracy_aware: bool = False
    threads: int = 0


def quantize_bundle(options: Options, log: Callable[[str], None] = print) -> Path:
    """Quantise the encoder of a bundle; return the folder of the bundle with the form.

    Raises:
        BundleError: the bundle does not exist, is not promptable, or is damaged.
        BackendError: OpenVINO is not installed.
        ValueError: NNCF is not installed, the data cannot be used, or int8 loses more than its limits; no
            file is written.
    """
    bundle, held_out = open_bundle(options.model), _read_held_out(options)
    images = training_records(options.data, list(options.training), options.images)
    segmenter = Segmenter(bundle, open_runtime(bundle, "openvino", options.threads))
    place = options.out or bundle.folder.resolve()
    with new_bundle(place) as folder:
        log(f"quantising the {NETWORK} of {bundle.name} with {len(images)} training images")
        model = quantize_encoder(segmenter, images, STRICT if options.accuracy_aware else None)
        copy_files(bundle, NETWORK, folder)
        training, aware = ", ".join(options.training), options.accuracy_aware
        form = save_form(model, NETWORK, folder)
        form["made"] = made_with(training, len(images), accuracy_aware=aware)
        write_description(bundle, NETWORK, folder, form)
        log(f"measuring float32 and {PRECISION} on {held_out.images} images of {options.held_out}")
        before = measure(segmenter, held_out.records, options.clicks, held_out.exhaustive)
        segmenter.close()
        written = open_bundle(folder)
        quantized = Segmenter(written, open_runtime(written, f"openvino_{PRECISION}", options.threads))
        after = measure(quantized, held_out.records, options.clicks, held_out.exhaustive)
        for name in after:
            log(f"{name:20} float32 {before[name]:.4f}  {PRECISION} {after[name]:.4f}")
        if losses := exceeded_limits(before, after):
            raise ValueError(
                f"{PRECISION} loses more than its limit: {'; '.join(losses)}. Nothing was written; try "
                "--accuracy-aware, or more --calibration-images"
            )
        form["held_out"] = _described(options, held_out, quantized, before, after)
        write_description(bundle, NETWORK, folder, form)
        open_bundle(folder)
    return place


@dataclass(frozen=True)
class _HeldOut:
    """Hold held-out images: for boxes and clicks, and those in which every object has a mask."""

    records: list[Record]
    exhaustive: list[Record]

    @property
    def images(self) -> int:
        return len(self.records)


def _read_held_out(options: Options) -> _HeldOut:
    for name in (options.held_out, options.everything):
        if name.endswith(TRAINING):
            raise ValueError(f"{name} is of the training split; expected held-out images")
    if options.everything:
        check_exhaustive(options.data / "annotations" / f"{options.everything}.json")
    sources = ((options.held_out, options.limit), (options.everything, options.everything_limit))
    return _HeldOut(
        *(
            list(readable(read_folder(options.data, [name])[:count])) if name else []
            for name, count in sources
        )
    )


def _described(
    options: Options, held_out: _HeldOut, quantized: Segmenter, before: Figures, after: Figures
) -> dict[str, Any]:
    """Describe the metrics on held-out images, and the precision of the other networks."""
    described: dict[str, Any] = {"data": options.held_out, "images": held_out.images}
    if held_out.exhaustive:
        described |= {"everything": options.everything, "everything_images": len(held_out.exhaustive)}
    rest = quantized.runtime.info()["decoder"]["precision"]
    return described | {"rest": rest, "figures": side_by_side(before, after)}
