# SPDX-License-Identifier: Apache-2.0
"""Find, read and check bundles: folders with the networks of one model and their description, ``model.yaml``.

Opening a bundle checks it: a missing, truncated, swapped or foreign file is a :class:`BundleError` that names
the file and the expected content.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .bundle_schema import FORMATS as FORMATS
from .bundle_schema import HIGH_RES as HIGH_RES
from .bundle_schema import NETWORKS as NETWORKS
from .bundle_schema import SCHEMA, find_fault
from .catalogue import CATALOGUE
from .installed import CHECKOUT, expand_user, installed_folders, models_folder

if TYPE_CHECKING:
    from collections.abc import Collection

#: Kinds of bundles, by purpose. A description without a kind is of the first one.
KINDS = {
    "promptable": "'evitsam segment' with prompts or --everything",
    "semantic": "'evitsam segment --semantic'",
    "upscale": "'evitsam upscale'",
}
DESCRIPTION = "model.yaml"
#: The trained weights, for fine-tuning and the torch backend; networks may read theirs from it.
CHECKPOINT = "model.safetensors"
#: The bundle that node, command line, launch files and demo take when none is named.
DEFAULT_MODEL = "efficientnet_sam_lite2"
#: The same of label maps and of super-resolution.
DEFAULT_SEMANTIC, DEFAULT_UPSCALE = "efficientvit_seg_b0_camvid", "efficientvit_sr_tiny"
#: Widths of the cells that ``foveal_decoder.onnx`` can look at, in cells of the embedding.
FOVEAL_STRIDES = (1, 2, 4, 8)
#: The one network of a bundle of another kind.
DENSE_NETWORK = "network"


class BundleError(ValueError):
    """A bundle that is missing, damaged, swapped, or of another format."""


@dataclass(frozen=True, kw_only=True)
class BundleFiles:
    """Hold the parts of an opened and checked bundle of any kind.

    Attributes:
        folder: path of the bundle.
        name: the model's registry name.
        networks: network name -> ONNX file.
        mean, std: normalisation of RGB on the 0..1 scale.
        description: complete content of ``model.yaml``.
    """

    folder: Path
    name: str
    networks: dict[str, Path]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path | None:
        """The trained weights of these networks; None where the bundle was exported without."""
        path = self.folder / CHECKPOINT
        # A bundle without weights may lie beside a checkpoint that it replaced.
        return path if self.description.get("with_weights", True) and path.is_file() else None

    def check(self, network: str) -> None:
        """Compare the files of a network with the description again, before they are read.

        Raises:
            BundleError: naming the file that is missing, or was changed or swapped since.
        """
        for file in files_of(self.description["networks"][network]):
            _check(self.folder, file)


@dataclass(frozen=True, kw_only=True)
class Bundle(BundleFiles):
    """An opened and checked promptable bundle.

    Attributes:
        image_size: side in pixels of the padded square that the encoder takes.
        prompt_size: side of the square in which prompt coordinates live.
        embedding: (channels, h, w).
        mask_size: (h, w) of the low-res logits.
        high_res_feats: (channels, h, w) of each high-resolution feature, strides 4 and 8; empty without.
        thresholds: this model's defaults for everything mode (``score``, ``stability``, ``nms``, ``heat``).
        proposals_as: prompts made of AutoPPN's proposals: ``boxes`` beside their points, as in the paper, or
            only ``points``, if these give better masks.
        expected_iou: share of the expected IoU in the rank of a single point's three masks, beside the IoU
            that the decoder predicts; see :mod:`~evitsam_ros.segment.mask_ranking`.
    """

    image_size: int
    prompt_size: int
    embedding: tuple[int, int, int]
    mask_size: tuple[int, int]
    thresholds: dict[str, float] = field(default_factory=dict)
    proposals_as: str = "boxes"
    expected_iou: float = 0.0
    high_res_feats: tuple[tuple[int, int, int], ...] = ()

    @property
    def has_proposals(self) -> bool:
        """Whether the model proposes its own prompts (AutoPPN)."""
        return "proposals" in self.networks

    @property
    def has_foveal(self) -> bool:
        """Whether many prompts can be decoded faster, looking closely at their points only."""
        return "foveal_decoder" in self.networks


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def search_path() -> list[Path]:
    """Return the folders that may contain bundles, in order.

    ``$EVITSAM_ENGINES``, the folder of ``evitsam fetch``, the ament prefixes, the checkout.
    """
    folders = [Path(entry) for entry in os.environ.get("EVITSAM_ENGINES", "").split(os.pathsep) if entry]
    folders += [models_folder(), *installed_folders("engines"), CHECKOUT / "engines"]
    return [folder for folder in folders if folder.is_dir()]


def installed_bundles() -> dict[str, Path]:
    """Every bundle on the search path by name; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in search_path():
        # A folder with a dot is one that is being written.
        for description in sorted(folder.glob(f"[!.]*/{DESCRIPTION}")):
            found.setdefault(description.parent.name, description.parent)
    return found


def find_bundle(name_or_folder: str | Path, kinds: Collection[str] = tuple(KINDS)) -> Path:
    """Return the folder of a bundle by its path or its name.

    Args:
        name_or_folder: of the bundle.
        kinds: those of which a bundle is wanted, for the error.

    Raises:
        BundleError: there is none; the message lists the installed ones of these kinds.
    """
    folder = expand_user(name_or_folder)
    if (folder / DESCRIPTION).is_file():
        return folder
    if folder.is_dir() and len(folder.parts) > 1:
        raise BundleError(f"{folder} is no bundle: it has no {DESCRIPTION} (make one with 'evitsam export')")
    bundles = installed_bundles()
    if str(name_or_folder) in bundles:
        return bundles[str(name_or_folder)]
    file = CATALOGUE.get(str(name_or_folder))
    if file is not None and file.exportable:
        raise BundleError(f"bundle {file.name!r} is not installed: evitsam fetch {file.name}")
    fitting = [name for name, place in sorted(bundles.items()) if _has_kind(place, kinds)]
    page = "" if "promptable" in kinds else " (docs/semantic.md)"
    raise BundleError(
        f"no bundle {str(name_or_folder)!r}: expected a folder with {DESCRIPTION}, or one of "
        f"{', '.join(fitting) or '(none installed)'}; 'evitsam export' makes one from a checkpoint{page}"
    )


def _has_kind(folder: Path, kinds: Collection[str]) -> bool:
    """Return whether a bundle is of one of some kinds; one that cannot be read is of none."""
    path = folder / DESCRIPTION
    try:
        return _kind(path, _read(path)) in kinds
    except BundleError:
        return False


def open_bundle(name_or_folder: str | Path) -> Bundle:
    """Find, read and check a promptable bundle.

    Raises:
        BundleError: the message names the file and its fault, or the kind of the bundle.
    """
    files = open_files(name_or_folder, {"promptable": SCHEMA})
    description = files.description
    return Bundle(
        **vars(files),
        image_size=description["image_size"],
        prompt_size=description["prompt_size"],
        embedding=tuple(description["embedding"]),
        mask_size=tuple(description["mask_size"]),
        thresholds=description.get("thresholds", {}),
        proposals_as=description.get("proposals_as", "boxes"),
        expected_iou=description.get("expected_iou", 0.0),
        high_res_feats=tuple(tuple(shape) for shape in description.get("high_res_feats", ())),
    )


def bundle_kind(name_or_folder: str | Path) -> str:
    """Find a bundle and read its kind, one of :data:`KINDS`; without further checks.

    Raises:
        BundleError: there is none, its description cannot be read, or its kind is unknown.
    """
    path = find_bundle(name_or_folder) / DESCRIPTION
    return _kind(path, _read(path))


def open_files(name_or_folder: str | Path, schemas: dict[str, dict[str, Any]]) -> BundleFiles:
    """Find a bundle of one of some kinds, and check its description and its files.

    Args:
        name_or_folder: as in :func:`find_bundle`.
        schemas: by kind.

    Raises:
        BundleError: the message names the file and its fault, or the kind of the bundle.
    """
    folder = find_bundle(name_or_folder, schemas)
    path = folder / DESCRIPTION
    description = _read(path)
    kind = _kind(path, description)
    if kind not in schemas:
        raise BundleError(
            f"{path}: the bundle is of kind {kind!r}; expected {' or '.join(map(repr, schemas))}. "
            f"{KINDS[kind]} runs this one"
        )
    if fault := find_fault(description, schemas[kind]):
        raise BundleError(f"{path}: {fault}")
    return BundleFiles(
        folder=folder,
        name=description["name"],
        networks=_checked_networks(folder, description),
        mean=tuple(description["mean"]),
        std=tuple(description["std"]),
        description=description,
    )


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    except RecursionError as error:
        raise BundleError(f"{path} cannot be read: it is nested too deeply") from error


def _kind(path: Path, description: Any) -> str:
    kind = description.get("kind", "promptable") if isinstance(description, dict) else "promptable"
    if not isinstance(kind, str) or kind not in KINDS:
        raise BundleError(f"{path}: kind: {kind!r} is unknown; expected one of {', '.join(KINDS)}")
    return kind


def _checked_networks(folder: Path, description: dict[str, Any]) -> dict[str, Path]:
    networks = {}
    checked: dict[str, str] = {}
    for name, entry in description["networks"].items():
        networks[name] = folder / entry["file"]
        for file in files_of(entry):
            # Networks share files, and hashing takes most of the time of opening.
            if checked.get(file["file"]) != file["sha256"]:
                _check(folder, file)
                checked[file["file"]] = file["sha256"]
    return networks


def files_of(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """List the files of a network, as the description has them: its own, its weights, those of its forms."""
    files = [entry, *weights_of(entry)]
    for form in entry.get("forms", []):
        files += [form, *weights_of(form)]
    return files


def weights_of(entry: dict[str, Any]) -> list[dict[str, str]]:
    """The files that a network reads its weights from, as the description lists them: one or several."""
    weights = entry.get("weights", [])
    return weights if isinstance(weights, list) else [weights]


def _check(folder: Path, entry: dict[str, Any]) -> Path:
    path = folder / entry["file"]
    if not path.is_file():
        raise BundleError(f"{path} is missing, though {folder / DESCRIPTION} lists it: copy the whole folder")
    actual = sha256(path)
    if actual != entry["sha256"]:
        raise BundleError(
            f"{path} is not the file of this bundle (truncated, changed or swapped): its SHA-256 is "
            f"{actual[:12]}…, {DESCRIPTION} says {entry['sha256'][:12]}…; copy or export it again"
        )
    return path
