# SPDX-License-Identifier: Apache-2.0
"""Install bundles into the models folder, from a checkpoint, a packed file or a folder, atomically."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle import DESCRIPTION, BundleError
from ..bundle_folder import replace_bundle
from ..dense.bundle import open_any_bundle
from .disk import check_space, full_disk_named
from .errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..catalogue import RemoteFile

#: Bytes on the disk that an export needs, as a share of its checkpoint's.
BUNDLE_SHARE = 1.3
#: Packages that an export imports, and the robot does not have.
_EXPORTER = ("torch", "onnx", "safetensors")


@dataclass(frozen=True)
class ExportOptions:
    """How a checkpoint is exported; see :func:`~evitsam_ros.export.export_bundle`."""

    storage: str = "fp32"
    with_weights: bool = False


def check_exporter(file: RemoteFile) -> None:
    """Check before the download that the file can become a bundle here.

    Raises:
        FetchError: the file is not a model's weights, or torch is missing.
    """
    if not file.exportable:
        raise FetchError(
            f"{file.name} is not a model's weights ({file.about}); "
            f"'evitsam fetch {file.name} --download-only' gets the file"
        )
    missing = [name for name in _needed(file) if find_spec(name) is None]
    if missing:
        raise FetchError(
            f"exporting {file.name} needs {', '.join(missing)}: pip install {' '.join(missing)}; or on a "
            f"machine that has them 'evitsam fetch {file.name}' and 'evitsam pack --model {file.name}', "
            f"then here 'evitsam fetch --from {file.name}.tar'"
        )


def _needed(file: RemoteFile) -> tuple[str, ...]:
    """Packages that an export imports: timm too, where the encoder is around one of its backbones."""
    from ..models.network_specs import NETWORK_SPECS
    from ..models.specs import model_spec

    if file.model in NETWORK_SPECS:
        return _EXPORTER
    return (*_EXPORTER, "timm") if model_spec(str(file.model)).backbone else _EXPORTER


def install_checkpoint(
    file: RemoteFile, checkpoint: Path, digest: str, models: Path, options: ExportOptions
) -> Path:
    """Export a checked checkpoint into the models folder.

    Args:
        file: entry of the catalogue.
        checkpoint: ``.pt`` or ``.safetensors``; only tensors are read.
        digest: its SHA-256, for the bundle's description.
        models: the models folder.
        options: of the export.

    Raises:
        ValueError: the checkpoint is not one of this model.
    """
    from ..dense_export import export_named

    models.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(models, file.name)
    check_space(models, BUNDLE_SHARE * checkpoint.stat().st_size)
    with full_disk_named(models):
        return export_named(
            str(file.model),
            checkpoint,
            models / file.name,
            storage=options.storage,
            with_weights=options.with_weights,
            extra={
                "licence": file.licence.name,
                "weights": {"origin": f"{file.base}/{file.path}", "file": file.path, "sha256": digest},
            },
        )


def installed_from(models: Path, file: RemoteFile, digest: str | None) -> Path | None:
    """Find an intact bundle in the models folder that was made of a checkpoint; ``digest`` None: of any."""
    place = models / file.name
    try:
        weights: Any = open_any_bundle(place).description.get("weights")
    except BundleError:
        return None
    made_of = weights.get("sha256") if isinstance(weights, dict) else None
    return place if made_of is not None and digest in (None, made_of) else None


@contextmanager
def new_bundle(models: Path, name: str) -> Iterator[Path]:
    """Yield a folder beside ``models / name`` to fill; it takes that place unless an exception is raised. Its
    content has to open as a bundle.
    """
    models.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(models, name)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(name), dir=models))
    try:
        with full_disk_named(models):
            yield folder
        open_any_bundle(folder)
        folder.chmod(0o755)
        for path in folder.iterdir():
            path.chmod(0o644)
        replace_bundle(models / name, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _prefix(name: str) -> str:
    return f".{name}-"


def _clear_leftovers(models: Path, name: str) -> None:
    """Remove the leftovers of a killed installation, and restore the bundle that it was replacing.

    The caller holds the lock.
    """
    for folder in models.glob(f"{_prefix(name)}*"):
        if "-old-" in folder.name and (folder / DESCRIPTION).is_file() and not (models / name).exists():
            folder.replace(models / name)
        else:
            shutil.rmtree(folder, ignore_errors=True)
