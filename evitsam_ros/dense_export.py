# SPDX-License-Identifier: Apache-2.0
"""Checkpoint -> bundle of kind ``semantic`` or ``upscale``: one ONNX file and its description.

The input size is fixed, the number of images is not. Whether the attention takes its linear or its quadratic
form is decided by the size, so an exported network serves no other one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from .bundle import CHECKPOINT, DENSE_NETWORK, DESCRIPTION, sha256
from .bundle_folder import new_bundle
from .dense.bundle import FORMAT, open_any_bundle
from .dense.class_tables import class_table
from .export import check_storage, export, write_network
from .models.efficientvit.build import create_network
from .models.efficientvit.super_resolution import SCALE
from .models.network_specs import NETWORK_SPECS
from .stored_weights import save_checkpoint, share_weights

if TYPE_CHECKING:
    from .models.efficientvit.build import AnyNetwork
    from .models.network_specs import NetworkSpec

#: Pixels at a tile's border that super-resolution takes from the neighbouring tile.
OVERLAP = 8
#: Name of the output by kind.
_OUTPUT = {"semantic": "logits", "upscale": "upscaled"}


def export_network(
    name: str,
    checkpoint: Path | None,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    storage: str = "fp32",
    with_weights: bool = False,
    extra: dict[str, Any] | None = None,
) -> Path:
    """Build a network, load a checkpoint if one is given, and write its bundle atomically.

    Args:
        name: of :data:`~evitsam_ros.models.network_specs.NETWORK_SPECS`.
        checkpoint: see :func:`~evitsam_ros.models.efficientvit.build.create_network`.
        out: the bundle's folder; an old bundle there is replaced.
        size: (H, W) of the input in pixels, where it is not the usual one.
        storage: ``fp32``, or ``fp16`` to halve the files.
        with_weights: also write ``model.safetensors``, for fine-tuning and the torch backend.
        extra: further entries of the description (licence, weights, quality).

    Raises:
        ValueError: the name, the checkpoint, the size, ``storage`` or ``out`` does not fit.
    """
    check_storage(storage)
    torch.manual_seed(0)
    network = create_network(name, checkpoint, size=size)
    if network.spec.kind not in _OUTPUT:
        raise ValueError(f"{name} is a classifier: there is no bundle of that kind; it is for training")
    with new_bundle(out) as folder:
        _write(network, folder, storage, with_weights=with_weights, extra=extra or {})
        open_any_bundle(folder)  # before it takes the place of an old one
    return Path(out)


def _write(
    network: AnyNetwork, folder: Path, storage: str, *, with_weights: bool, extra: dict[str, Any]
) -> None:
    spec, path = network.spec, folder / f"{DENSE_NETWORK}.onnx"
    output = _OUTPUT[spec.kind]
    dynamic = {"image": {0: "images"}, output: {0: "images"}}
    image = torch.zeros(1, 3, *spec.size)
    write_network(network, (image,), ["image"], [output], dynamic, path, storage)
    entry: dict[str, Any] = {"file": path.name, "params": sum(p.numel() for p in network.parameters())}
    if with_weights:
        save_checkpoint(network, folder / CHECKPOINT, storage)
        for read in share_weights({DENSE_NETWORK: path}, folder / CHECKPOINT).values():
            entry["weights"] = [{"file": file.name, "sha256": sha256(file)} for file in read]
    entry["sha256"] = sha256(path)
    description = {
        "format": FORMAT,
        "kind": spec.kind,
        "name": spec.name,
        "networks": {DENSE_NETWORK: entry},
        "input_size": list(spec.size),
        "mean": [round(v, 9) for v in spec.mean],
        "std": [round(v, 9) for v in spec.std],
        **_of_kind(spec),
        "precision": "fp32",
        "with_weights": with_weights,
        **extra,
    }
    (folder / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=100))


def _of_kind(spec: NetworkSpec) -> dict[str, Any]:
    if spec.kind == "upscale":
        return {"scale": SCALE, "overlap": OVERLAP}
    table = class_table(spec.dataset)
    rows = zip(table.names, table.colours, strict=True)
    classes = [{"name": name, "colour": list(colour)} for name, colour in rows]
    return {"stride": int(spec.stride), "classes": classes}


def export_named(name: str, checkpoint: Path | None, out: Path, **options: Any) -> Path:
    """Write the bundle of a promptable model, or of another network, by its registry name.

    Args:
        name: of the model or network.
        checkpoint: see :func:`~evitsam_ros.export.export` and :func:`export_network`.
        out: the bundle's folder; an old bundle there is replaced.
        options: those that both have: ``storage``, ``with_weights``, ``extra``.
    """
    if name in NETWORK_SPECS:
        return export_network(name, checkpoint, out, **options)
    return export(name, checkpoint, out, **options)
