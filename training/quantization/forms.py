# SPDX-License-Identifier: Apache-2.0
"""Write a network's int8 form into a bundle, and describe it."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import yaml

from evitsam_ros.bundle import DESCRIPTION, BundleFiles, sha256
from evitsam_ros.bundle_forms import find_form

from .post_training import save_model

if TYPE_CHECKING:
    from pathlib import Path

    from .held_out import Figures

PRECISION = "int8"


def copy_files(bundle: BundleFiles, network: str, folder: Path) -> None:
    """Copy the files of a bundle, without those of a form that is replaced."""
    old = find_form(bundle, network, PRECISION)
    left_out = {old.file.stem} if old is not None else set()
    for path in bundle.folder.iterdir():
        if path.is_file() and not path.name.startswith(".") and path.stem not in left_out:
            shutil.copy2(path, folder / path.name)


def save_form(model: Any, network: str, folder: Path) -> dict[str, Any]:
    """Write the form's files; return its entry of the description."""
    path = folder / f"{network}.{PRECISION}.xml"
    weights = save_model(model, path)
    return {
        "precision": PRECISION,
        "file": path.name,
        "sha256": sha256(path),
        "weights": {"file": weights.name, "sha256": sha256(weights)},
    }


def write_description(bundle: BundleFiles, network: str, folder: Path, form: dict[str, Any]) -> None:
    """Write the description of the bundle with the form."""
    networks = dict(bundle.description["networks"])
    others = [each for each in networks[network].get("forms", []) if each["precision"] != PRECISION]
    networks[network] = {**networks[network], "forms": [*others, form]}
    description = {**bundle.description, "networks": networks}
    (folder / DESCRIPTION).write_text(yaml.safe_dump(description, sort_keys=False, width=100))


def made_with(training: str, images: int, *, accuracy_aware: bool) -> dict[str, Any]:
    """Describe how a form was made."""
    return {
        "with": f"NNCF {version('nncf')}, OpenVINO {version('openvino')}",
        "date": date.today().isoformat(),
        "training": training,
        "images": images,
        "accuracy_aware": accuracy_aware,
    }


def side_by_side(before: Figures, after: Figures) -> dict[str, dict[str, float]]:
    """Return every figure in float32 and in int8."""
    return {
        name: {"fp32": round(before[name], 4), PRECISION: round(value, 4)} for name, value in after.items()
    }
