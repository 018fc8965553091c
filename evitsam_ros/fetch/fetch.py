# SPDX-License-Identifier: Apache-2.0
"""From a name to an installed bundle: licence, room, download or a file brought by hand, checks, export."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..bundle import BundleError, find_bundle
from ..catalogue import CATALOGUE, HUGGING_FACE, RemoteFile
from ..installed import data_folder, models_folder
from .brought import find_brought, find_packed, is_packed, name_of
from .disk import check_space
from .download import Patience, download
from .errors import FetchError
from .folders import install_folder, install_packed
from .install import BUNDLE_SHARE, ExportOptions, check_exporter, install_checkpoint, installed_from
from .licences import check_licence
from .locking import one_at_a_time
from .memory import memory_warning
from .trust import recorded
from .verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: In the data folder: checkpoints, and parts of them.
DOWNLOADS = "downloads"


@dataclass(frozen=True)
class FetchOptions:
    """Hold a user's options.

    Attributes:
        accept_licence: accept licences that forbid commercial use.
        mirror: URL of a folder that is used in place of the official one; empty: the official one.
        brought: a file or folder that is used in place of a download.
        download_only: keep the checked file and make no bundle; needs no torch.
        again: even if the bundle is installed already.
        export: options of the export.
        patience: of the download.
    """

    accept_licence: bool = False
    mirror: str = ""
    brought: Path | None = None
    download_only: bool = False
    again: bool = False
    export: ExportOptions = field(default_factory=ExportOptions)
    patience: Patience = field(default_factory=Patience)


def remote_file(name: str) -> RemoteFile:
    """Look a file up by its name.

    Raises:
        FetchError: the name is unknown, or of a model that is not fetched because it comes with the package.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    try:
        place = find_bundle(name)
    except BundleError:
        raise FetchError(f"{name!r} cannot be fetched; expected one of {', '.join(CATALOGUE)}") from None
    raise FetchError(f"{name} is installed already: {place}; it has no official file to fetch")


def url_of(file: RemoteFile, mirror: str = "") -> str:
    """Return the file's URL: below ``mirror``, or at the official place.

    ``$HF_ENDPOINT`` takes the place of Hugging Face's own address.

    Raises:
        FetchError: mirror or endpoint is not an HTTP URL.
    """
    base = file.base
    endpoint = os.environ.get("HF_ENDPOINT", "")
    if mirror:
        base = _http(mirror, "--mirror")
    elif endpoint and base.startswith(f"{HUGGING_FACE}/"):
        base = _http(endpoint, "HF_ENDPOINT") + base.removeprefix(HUGGING_FACE)
    return f"{base}/{file.path}"


def fetch_named(name: str, options: FetchOptions, log: Callable[[str], None]) -> Path:
    """Fetch by name; a bundle of this name that was brought by hand is taken as it is.

    Returns:
        The bundle's folder; with ``download_only`` the checked file.

    Raises:
        FetchError: with cause and remedy in one line; an earlier installation is kept.
    """
    packed = find_packed(options.brought, name) if options.brought and not options.download_only else None
    if packed is not None:
        return _install_bundle(packed, options, log, name)
    return fetch(remote_file(name), options, log)


def fetch(file: RemoteFile, options: FetchOptions, log: Callable[[str], None]) -> Path:
    """Fetch one file and install its bundle.

    Args:
        file: of the catalogue.
        options: options of the user.
        log: takes one line at a time.

    Returns:
        The bundle's folder; with ``download_only`` the checked file.

    Raises:
        FetchError: with cause and remedy in one line; an earlier installation is kept.
    """
    if not options.download_only:
        check_exporter(file)
    check_licence(file.name, file.licence, log, accepted=options.accept_licence)
    data, models = data_folder(), models_folder()
    with one_at_a_time(data, log):
        if not options.download_only and not options.again:
            known = file.sha256 or (record.sha256 if (record := recorded(data, file.name)) else None)
            if place := installed_from(models, file, known):
                log(f"{file.name} is installed already; --again installs it once more")
                return place
        if not options.download_only and (warning := memory_warning(file.size)):
            log(f"{file.name}: {warning}")
        checkpoint, digest = _checkpoint(file, data, options, log)
        if options.download_only:
            return checkpoint
        log(f"{file.name}: exporting; this takes some minutes for the large models")
        place = install_checkpoint(file, checkpoint, digest, models, options.export)
        if options.brought is None:
            checkpoint.unlink()
    _warn_if_hidden(file.name, place, log)
    return place


def install_brought(place: Path, options: FetchOptions, log: Callable[[str], None]) -> Path:
    """Install the packed bundle, bundle or checkpoint at ``place``, without a given name.

    Returns:
        The bundle's folder.

    Raises:
        FetchError: it is none of these, or it does not pass the checks.
    """
    if not is_packed(place):
        return fetch(name_of(place), options, log)
    return _install_bundle(place, options, log)


def _install_bundle(
    place: Path, options: FetchOptions, log: Callable[[str], None], expected: str = ""
) -> Path:
    install = install_folder if place.is_dir() else install_packed
    with one_at_a_time(data_folder(), log):
        installed = install(place, models_folder(), log, expected, accept_licence=options.accept_licence)
    _warn_if_hidden(installed.name, installed, log)
    return installed


def _checkpoint(
    file: RemoteFile, data: Path, options: FetchOptions, log: Callable[[str], None]
) -> tuple[Path, str]:
    """Get the checked file; returns it and its SHA-256."""
    if options.brought is not None:
        path = find_brought(options.brought, file)
        return path, verify(path, file, data, str(path), log)
    target = data / DOWNLOADS / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    url = url_of(file, options.mirror)
    if target.is_file():
        try:
            return target, verify(target, file, data, str(target), log)
        except FetchError as error:
            log(f"{error}; downloading it again")
            target.unlink()
    part = target.with_name(f"{target.name}.part")
    if file.sha256 is None:
        # A later part could be of another version without a sign.
        part.unlink(missing_ok=True)
    resumed = part.exists()
    digest = _download_checked(url, part, file, data, options, log, resumed=resumed)
    part.replace(target)
    return target, digest


def _download_checked(
    url: str,
    part: Path,
    file: RemoteFile,
    data: Path,
    options: FetchOptions,
    log: Callable[[str], None],
    *,
    resumed: bool,
) -> str:
    log(f"{file.name}: {'resuming' if resumed else 'downloading'} {url}")
    if file.size and not options.download_only:
        there = part.stat().st_size if resumed else 0
        check_space(part.parent, (1 + BUNDLE_SHARE) * file.size - there)
    download(url, part, file, log, options.patience)
    try:
        return verify(part, file, data, url, log)
    except FetchError as error:
        part.unlink()
        if not resumed:
            raise
        log(f"{error}; the part that was kept may be at fault: downloading all of it")
    return _download_checked(url, part, file, data, options, log, resumed=False)


def _http(url: str, name: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise FetchError(
            f"{name} {url!r} is not a URL; expected http://… or https://…; a file or folder goes to --from"
        )
    return url.rstrip("/")


def _warn_if_hidden(name: str, place: Path, log: Callable[[str], None]) -> None:
    if (found := find_bundle(name)).resolve() != place.resolve():
        log(f"warning: model {name!r} is {found}, which comes first on the search path, not {place}")
