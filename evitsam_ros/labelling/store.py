# SPDX-License-Identifier: Apache-2.0
"""The output folder: a manifest, and a file of each table for each unit. A unit is done when its masks exist.

``OUT/manifest.json``, ``OUT/frames/KEY.parquet``, ``OUT/masks/KEY.parquet``; with ``--bags`` also
``OUT/bags/KEY.mcap``. A file has its name only when it is complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .job import Job, JobError
from .outcome import Outcome
from .places import Place
from .rows import FRAMES, MASKS, counts_of, dumps, schemas, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .unit import Unit

FORMAT = "evitsam-labels/1"
MANIFEST, BAGS, SUFFIX = "manifest.json", "bags", ".parquet"


@dataclass(frozen=True)
class Part:
    """Describe a completed unit, from the footer of its file; ``content``: its source at that time."""

    unit: Unit
    content: str
    masks: int


class Store:
    """The output of a run.

    Args:
        out: folder, as a path or a URL.
    """

    def __init__(self, out: str) -> None:
        self.out, self.place = out, Place(out)

    def open(self, job: Job, models: dict[str, dict[str, str]], versions: dict[str, str]) -> None:
        """Start a run, or continue an earlier one with the same options.

        Raises:
            JobError: The folder holds other files, or labels of another model or of other options.
        """
        wanted = {"format": FORMAT, "models": models, "options": job.options(), "versions": versions}
        with self.writing():
            manifest = self.place.join(MANIFEST)
            if manifest.exists():
                _check_same(self.manifest(), wanted, self.out)
                return
            if self.place.exists() and not self.place.is_folder():
                raise JobError(f"{self.out} is a file; expected a folder for labels")
            if others := [name for name, _ in self.place.listed() if not name.startswith(".")]:
                raise JobError(
                    f"{self.out} holds {others[0]} and no {MANIFEST}; expected a new folder, or one of labels"
                )
            for table in (MASKS, FRAMES, *([BAGS] if job.bags else [])):
                self.place.fs.create_dir(self.place.join(table).path, recursive=True)
            with self.new_file(MANIFEST) as path:
                path.write_text(dumps(wanted))

    def manifest(self) -> dict[str, Any]:
        """Return the manifest.

        Raises:
            JobError: There is none, or it cannot be read.
        """
        try:
            found = json.loads(self.place.join(MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise JobError(
                f"{self.out} has no {MANIFEST} that can be read; expected a folder that "
                f"'evitsam label' has written ({error})"
            ) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise JobError(f"{self.out}/{MANIFEST} is not of the format {FORMAT}")
        models = found.get("models")
        has_models = isinstance(models, dict) and all(map(_is_model, models.values()))
        if not has_models or not isinstance(found.get("options"), dict):
            raise JobError(f"{self.out}/{MANIFEST} is damaged: it lacks the options or models of the labels")
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of a local folder, and remove incomplete files of a killed one.

        Raises:
            JobError: Another run is writing.
        """
        if not self.place.is_local:
            yield
            return
        with self.writing():
            self.place.local.mkdir(parents=True, exist_ok=True)
            file = self.place.join(".lock").local.open("w")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise JobError(
                    f"{self.out} is being written by another 'evitsam label'; wait for it"
                ) from error
            for table in ("", MASKS, FRAMES, BAGS):
                for left in self.place.join(table).local.glob(".new-*"):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield

    def done(self) -> set[str]:
        """Return the keys of the units that are done."""
        listed = self.place.join(MASKS).listed()
        return {name.removesuffix(SUFFIX) for name, _ in listed if name.endswith(SUFFIX) and name[0] != "."}

    def part(self, key: str) -> Part:
        """Return a unit that is done.

        Raises:
            JobError: Its file is damaged.
        """
        place = self.place.join(f"{MASKS}/{key}{SUFFIX}")
        try:
            count, metadata = counts_of(place.path, place.fs)
            return Part(unit_of(metadata), metadata[b"content"].decode(), count)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobError(
                f"{place.text} is damaged ({error}); remove it, and its unit is done again"
            ) from error

    def outcome(self, unit: Unit) -> Outcome | None:
        """Return the counts of a unit that is done; None if it is not."""
        if not self.place.join(f"{MASKS}/{unit.key}{SUFFIX}").exists():
            return None
        errors = self.read(FRAMES, unit.key).column("error")
        damaged = len(errors) - errors.null_count
        return Outcome(unit.key, unit.title, len(errors), self.part(unit.key).masks, damaged)

    def parts(self) -> dict[str, Part]:
        """Return all units that are done, by key."""
        keys = sorted(self.done())
        with ThreadPoolExecutor(8) as pool:
            return dict(zip(keys, pool.map(self.part, keys), strict=True))

    def read(self, table: str, key: str) -> Any:
        """Return a table of a unit that is done, as a pyarrow Table.

        Raises:
            JobError: Its file is missing or damaged, or has another table.
        """
        import pyarrow.parquet as pq

        place = self.place.join(f"{table}/{key}{SUFFIX}")
        try:
            with place.fs.open_input_file(place.path) as file:
                found = pq.ParquetFile(file).read()
            if missing := set(schemas()[table].names) - set(found.column_names):
                raise ValueError(f"it has no column {min(missing)}")
        except (OSError, ValueError) as error:  # pyarrow's own errors are subclasses
            raise JobError(
                f"{place.text} is damaged ({error}); remove {MASKS}/{key}{SUFFIX}, and its unit is done again"
            ) from error
        return found

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """Provide the path of a temporary file, which becomes ``name`` at the end of the block.

        Raises:
            JobError: It cannot be written.
        """
        with self.writing():
            target = self.place.join(name)
            near = target.local.parent if target.is_local else None
            handle, temporary = tempfile.mkstemp(prefix=".new-", dir=near)
            os.close(handle)
            path = Path(temporary)
        try:
            yield path
            with self.writing():
                _put(path, target)
        finally:
            with suppress(OSError):
                path.unlink()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Name the folder in the error of a disk that is full or forbidden.

        Raises:
            JobError: As above.
        """
        try:
            yield
        except OSError as error:
            raise JobError(
                f"{self.out} cannot be written: {error.strerror or error}; "
                "mend it and give the same command again: it goes on where it was"
            ) from error


def _is_model(entry: Any) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("name", "sha256"))


def _put(path: Path, target: Place) -> None:
    if target.is_local:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.chmod(0o644)
        path.replace(target.local)
        return
    # An object appears when its upload is complete.
    with path.open("rb") as file, target.fs.open_output_stream(target.path) as stream:
        shutil.copyfileobj(file, stream, 1 << 20)


def _check_same(found: dict[str, Any], wanted: dict[str, Any], out: str) -> None:
    for part in ("models", "options"):
        for name in sorted({*found[part], *wanted[part]}):
            before, now = found[part].get(name), wanted[part].get(name)
            if before != now:
                raise JobError(
                    f"{out} was labelled with {name} {_shown(before)}, and this command has {_shown(now)}; "
                    "give the same options, or another --out"
                )


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['name']} ({value['sha256'][:12]})"
    return "none" if value is None else json.dumps(value)
