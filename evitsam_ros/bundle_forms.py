# SPDX-License-Identifier: Apache-2.0
"""Forms of a bundle's networks: the same network in another precision, as int8.

``model.yaml`` lists them under the network, each with its own files, hashes and figures on held-out images.
Opening the bundle checks the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from .bundle import BundleFiles


@dataclass(frozen=True)
class Form:
    """A network in another precision.

    Attributes:
        precision: as ``int8``.
        file: ONNX, or an OpenVINO IR (``.xml`` with a ``.bin`` beside it).
        sha256: of the file. An IR from ``evitsam quantize`` names the hash of its weights: this covers both.
        held_out: ``data``, ``images`` and ``figures`` on images that it was not made from, each figure with
            the value of float32 and of this precision; empty where they were not measured.
    """

    precision: str
    file: Path
    sha256: str
    held_out: dict[str, Any] = field(default_factory=dict)


def forms_of(bundle: BundleFiles, network: str) -> list[Form]:
    """Return the further forms of a network; empty where there are none."""
    listed = bundle.description.get("networks", {}).get(network, {}).get("forms", [])
    return [
        Form(form["precision"], bundle.folder / form["file"], form["sha256"], form.get("held_out") or {})
        for form in listed
    ]


def find_form(bundle: BundleFiles, network: str, precision: str) -> Form | None:
    """Return the form of a network in a precision; None where the bundle has none."""
    return next((form for form in forms_of(bundle, network) if form.precision == precision), None)
