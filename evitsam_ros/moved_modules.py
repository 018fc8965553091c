# SPDX-License-Identifier: Apache-2.0
"""Old names of modules, which import the new ones for one release and warn."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from typing import TYPE_CHECKING

from .deprecation import warn_renamed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

PACKAGE = "evitsam_ros"
#: New name of a module, or of a package with all that is in it, by the old one; both within the package.
MOVED = {
    "autotune.remembered": "autotune.bench",
    "bags": "io.bags",
    "compressed": "io.compressed_image",
    "encodings": "io.encodings",
    "image_files": "io.image_files",
    "intensity": "io.intensity",
    "models.efficientvit.timm_keys": "models.efficientvit.build",
    "models.sam_neck": "models.layers",
    "models.windows": "models.layers",
    "natural_order": "io.natural_order",
    "nodes.label_maps": "nodes.messages",
    "picture_header": "io.image_header",
    "pixel_layouts": "io.pixel_layouts",
    "raw_pixels": "io.raw_pixels",
    "segment.embedding": "segment.frame",
    "sources": "io.sources",
    "space": "geometry3d",
    "tracking.sequence": "cli.sequence",
    "user_folders": "installed",
    "video_files": "io.video_files",
}


def new_name(name: str) -> str | None:
    """Return the new name of a module by its full old one; None if it did not move."""
    if not name.startswith(f"{PACKAGE}."):
        return None
    inside = name.removeprefix(f"{PACKAGE}.")
    for old, new in MOVED.items():
        if inside == old or inside.startswith(f"{old}."):
            return f"{PACKAGE}.{new}{inside.removeprefix(old)}"
    return None


class MovedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import a moved module under its old name: the same module object, so that its types are the same."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the old name of a moved module, else None."""
        if new_name(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Import the module under its new name, and warn."""
        new = new_name(spec.name)
        assert new is not None
        warn_renamed(spec.name, new, stacklevel=8)
        module = importlib.import_module(new)
        # The import system is about to put the old name's spec in the place of this one.
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module, which was executed under its new name, its own spec back."""
        spec = module.__spec__
        if spec is not None and spec.loader is self:
            module.__spec__ = spec.loader_state


def install() -> None:
    """Let old names be imported; before the path finder, which would load a second copy of a submodule."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedModules())
