# SPDX-License-Identifier: Apache-2.0
"""Licences of weights: shown before anything is installed, accepted where they forbid commercial use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..catalogue import CATALOGUE, Licence
from .errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable

OPTION = "--accept-licence"


def check_licence(name: str, licence: Licence, log: Callable[[str], None], *, accepted: bool) -> None:
    """Print a licence and check that it was accepted where that is needed.

    Raises:
        FetchError: it forbids commercial use and was not accepted.
    """
    log(f"{name}: licence {licence.name}{f', {licence.url}' if licence.url else ''}")
    if licence.terms:
        log(f"{name}: {licence.terms}")
    if licence.non_commercial and not accepted:
        raise FetchError(
            f"{name} is for non-commercial use only ({licence.name}"
            f"{f', {licence.url}' if licence.url else ''}); {OPTION} accepts the licence"
        )


def licence_of_bundle(name: str, description: dict) -> Licence:
    """Find the licence of a bundle: the catalogue's of its name, or the one of its description."""
    text = str(description.get("licence") or "not stated")
    known = CATALOGUE.get(name)
    forbids = re.search(r"non-?\s?commercial|\bNC\b", text, re.IGNORECASE) is not None
    if known is not None and (known.licence.non_commercial or not forbids):
        return known.licence
    return Licence(text, "", non_commercial=forbids)
