# SPDX-License-Identifier: Apache-2.0
"""Add an int8 form of the encoder to a bundle, if its metrics on held-out images pass."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import yaml

from evitsam_ros.backends import open_runtime
from evitsam_ros.bundle import DESCRIPTION, Bundle, open_bundle, sha256
from evitsam_ros.bundle_folder import new_bundle
from evitsam_ros.bundle_forms import find_form
from evitsam_ros.segment import Segmenter

from ..annotations import read_folder
from ..evaluation.recall import check_exhaustive
from ..records import Record, readable
from .calibration import TRAINING, training_records
from .held_out import STRICT, Figures, exceeded_limits, measure
from .post_training import quantize_encoder, save_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NETWORK, PRECISION = "encoder", "int8"


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
        _copy_files(bundle, folder)
        form = _save(model, folder) | {"made": _made(options, len(images))}
        _describe(bundle, folder, form)
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
        _describe(bundle, folder, form)
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


def _copy_files(bundle: Bundle, folder: Path) -> None:
    """Copy the files of a bundle, except those of a form to replace."""
    old = find_form(bundle, NETWORK, PRECISION)
    left_out = {old.file.stem} if old is not None else set()
    for path in bundle.folder.iterdir():
        if path.is_file() and not path.name.startswith(".") and path.stem not in left_out:
            shutil.copy2(path, folder / path.name)


def _save(model: Any, folder: Path) -> dict[str, Any]:
    """Write the form's files; return its entry of the description."""
    path = folder / f"{NETWORK}.{PRECISION}.xml"
    weights = save_model(model, path)
    return {
        "precision": PRECISION,
        "file": path.name,
        "sha256": sha256(path),
        "weights": {"file": weights.name, "sha256": sha256(weights)},
    }


def _describe(bundle: Bundle, folder: Path, form: dict[str, Any]) -> None:
    """Write the description of the bundle with the form."""
    networks = dict(bundle.description["networks"])
    others = [each for each in networks[NETWORK].get("forms", []) if each["precision"] != PRECISION]
    networks[NETWORK] = {**networks[NETWORK], "forms": [*others, form]}
    description = {**bundle.description, "networks": networks}
    (folder / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=100))


def _made(options: Options, images: int) -> dict[str, Any]:
    """Describe the origin of the form."""
    return {
        "with": f"NNCF {version('nncf')}, OpenVINO {version('openvino')}",
        "date": date.today().isoformat(),
        "training": ", ".join(options.training),
        "images": images,
        "accuracy_aware": options.accuracy_aware,
    }


def _described(
    options: Options, held_out: _HeldOut, quantized: Segmenter, before: Figures, after: Figures
) -> dict[str, Any]:
    """Describe the metrics on held-out images, and the precision of the other networks."""
    figures = {
        name: {"fp32": round(before[name], 4), PRECISION: round(value, 4)} for name, value in after.items()
    }
    described: dict[str, Any] = {"data": options.held_out, "images": held_out.images}
    if held_out.exhaustive:
        described |= {"everything": options.everything, "everything_images": len(held_out.exhaustive)}
    rest = quantized.runtime.info()["decoder"]["precision"]
    return described | {"rest": rest, "figures": figures}
