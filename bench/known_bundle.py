# SPDX-License-Identifier: Apache-2.0
"""Make bundles for the benchmark: cached exports, and a tiny bundle with known masks.

The tiny bundle answers a box with the box and a point with a disc; a background point cuts a disc out. It has
two proposals, at a quarter and at three quarters of the diagonal.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import evitsam_ros
from evitsam_ros.bundle import BundleError
from evitsam_ros.dense.bundle import open_any_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 64
POINT_RADIUS = 8.0
#: Factor of the logits of models with random weights.
LOGIT_SCALE = 30.0


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/evitsam/bench``, by default under ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "evitsam" / "bench"


def sources_hash() -> str:
    """Return a hash of all files that determine an exported bundle."""
    package = Path(evitsam_ros.__file__).parent
    files = [*sorted((package / "models").rglob("*.py")), package / "export.py", package / "dense_export.py"]
    files.append(Path(__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def cached_bundle(name: str, write: Callable[[Path], object]) -> Path:
    """Return the folder of a cached bundle.

    Args:
        name: of the folder.
        write: exports the bundle if it is missing, damaged, or made by other sources.
    """
    folder = cache_folder() / f"{name}-{sources_hash()[:16]}"
    try:
        open_any_bundle(folder)
    except BundleError:
        for old in cache_folder().glob(f"{name}-*"):
            shutil.rmtree(old)
        write(folder)
    return folder


def export_random(name: str, folder: Path) -> None:
    """Export a model of the registry with random weights, and keep the weights for torch.

    Random logits are near zero, where no mask is stable enough to be compared; they are scaled.
    """
    import torch

    from evitsam_ros.export import export_bundle
    from evitsam_ros.models import create_model

    torch.manual_seed(0)
    model = create_model(name)
    with torch.no_grad():
        for mlp in model.mask_decoder.output_hypernetworks_mlps:
            for values in mlp.layers[-1].parameters():
                values *= LOGIT_SCALE
    export_bundle(model, folder, with_weights=True)


def labelled(coords, labels, label: int):
    """Return the sum of the points of a label, ``(B, 2, 1, 1)``."""
    return (coords * (labels == label).float()[..., None]).sum(1)[:, :, None, None]


def depth_in_box(coords, labels):
    """Return the centres x and y of the cells, and their depth in the prompt's box, negative outside."""
    import torch

    centres = torch.arange(SIDE) + 0.5
    x, y = centres.view(1, 1, SIDE), centres.view(1, SIDE, 1)
    low, high = labelled(coords, labels, 2), labelled(coords, labels, 3)
    sides = (x - low[:, 0], high[:, 0] - x, y - low[:, 1], high[:, 1] - y)
    return x, y, torch.minimum(torch.minimum(sides[0], sides[1]), torch.minimum(sides[2], sides[3]))


def write_known_bundle(folder: Path, *, fails_on_black: bool = False) -> Path:
    """Write the bundle; with ``fails_on_black`` its decoder raises on black images."""
    import torch

    class Encoder(torch.nn.Module):
        def forward(self, image):
            return image.mean((2, 3), keepdim=True)

    class Decoder(torch.nn.Module):
        def forward(self, image_embeddings, coords, labels, mask_input, has_mask_input):
            x, y, box = depth_in_box(coords, labels)
            distance = (
                (x[:, None] - coords[:, :, :1, None]) ** 2 + (y[:, None] - coords[:, :, 1:, None]) ** 2
            ).sqrt()
            near = torch.where((labels == 1)[..., None, None], distance, 1e6).amin(1)
            bad = torch.where((labels == 0)[..., None, None], distance, 1e6).amin(1)
            has_box = (labels == 2).any(1)[:, None, None]
            logits = torch.where(has_box, box, POINT_RADIUS - near)
            logits = torch.minimum(logits, bad - POINT_RADIUS / 2) * 4
            if fails_on_black:
                beyond = (image_embeddings.reshape(-1)[:1] < -0.7).long() * 7
                logits = logits * torch.ones(2).index_select(0, beyond)
            logits = logits + image_embeddings.sum() * 0 + (mask_input.sum() + has_mask_input.sum()) * 0
            masks = torch.stack([logits - 9, logits, logits + 9], dim=1)
            iou = torch.stack([near.amin((1, 2)) * 0 + v for v in (0.5, 0.9, 0.4)], dim=1)
            return masks, iou

    class Proposals(torch.nn.Module):
        def forward(self, embedding):
            heat = torch.zeros(1, 1, SIDE, SIDE)
            heat[0, 0, SIDE // 4, SIDE // 4], heat[0, 0, 3 * SIDE // 4, 3 * SIDE // 4] = 0.9, 0.8
            return heat + embedding.sum() * 0, torch.full((1, 4, SIDE, SIDE), 0.1) + embedding.sum() * 0

    networks = {"encoder": Encoder(), "decoder": Decoder(), "proposals": Proposals()}
    return export_known(folder, "known", networks, (3, 1, 1))


def export_known(folder: Path, name: str, networks: dict, embedding: tuple[int, int, int]) -> Path:
    """Write a bundle of hand-made networks: ``encoder``, ``decoder`` and ``proposals``."""
    import torch
    import yaml

    from evitsam_ros.bundle import sha256

    folder.mkdir(parents=True)
    embeddings = torch.zeros(1, *embedding)
    prompts = (
        embeddings,
        torch.rand(2, 3, 2),
        torch.tensor([[1.0, 2, 3], [0, 1, -1]]),
        torch.zeros(2, 1, SIDE, SIDE),
        torch.zeros(2),
    )
    names = ["image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input"]
    dynamic = {
        "image": {0: "n"},
        "point_coords": {0: "b", 1: "n"},
        "point_labels": {0: "b", 1: "n"},
        "mask_input": {0: "m"},
        "has_mask_input": {0: "m"},
    }
    for network, inputs, ins, outs in (
        ("encoder", (torch.zeros(1, 3, SIDE, SIDE),), ["image"], ["image_embeddings"]),
        ("decoder", prompts, names, ["low_res_masks", "iou_predictions"]),
        ("proposals", (embeddings,), names[:1], ["heat", "boxes"]),
    ):
        axes = {key: value for key, value in dynamic.items() if key in ins}
        torch.onnx.export(
            networks[network],
            inputs,
            str(folder / f"{network}.onnx"),
            input_names=ins,
            output_names=outs,
            dynamic_axes=axes,
            opset_version=20,
            dynamo=False,
        )
    files = {n: {"file": f"{n}.onnx", "sha256": sha256(folder / f"{n}.onnx")} for n in networks}
    description = {
        "format": 1,
        "name": name,
        "networks": files,
        "image_size": SIDE,
        "prompt_size": SIDE,
        "embedding": list(embedding),
        "mask_size": [SIDE, SIDE],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(description))
    return folder
