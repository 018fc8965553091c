# SPDX-License-Identifier: Apache-2.0
"""Further forms of a bundle's networks, as int8: each in a file of its own, listed in ``model.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bundle import BundleFiles


@dataclass(frozen=True)
class Form:
    """A network in another precision.

    Attributes:
        precision: as ``int8``.
        file: of the network.
        sha256: of the file.
        held_out: quality on data that it was not made from; empty where it was not measured.
    """

    precision: str
    file: Path
    sha256: str
    held_out: dict[str, Any] = field(default_factory=dict)


def forms_of(bundle: BundleFiles, network: str) -> list[Form]:
    """Return the further forms of a network, as the bundle's description lists them."""
    listed = bundle.description.get("networks", {}).get(network, {}).get("forms", [])
    return [
        Form(form["precision"], bundle.folder / form["file"], form["sha256"], form.get("held_out") or {})
        for form in listed
    ]


def find_form(bundle: BundleFiles, network: str, precision: str) -> Form | None:
    """Return the form of a network in a precision; None where the bundle has none."""
    return next((form for form in forms_of(bundle, network) if form.precision == precision), None)
