# SPDX-License-Identifier: Apache-2.0
"""Read the files of a recording one by one: complete or truncated, compressed or not, with metadata or
without.
"""

from __future__ import annotations

import logging
import re
import shlex
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..image_files import IMAGES
from ..natural_order import natural_order
from .channel import BagError, Channel
from .db3_scan import Db3Scan
from .mcap_scan import McapScan, has_chunk_index, zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

SUFFIXES = (".mcap", ".db3")
_SCANS: dict[str, type[McapScan] | type[Db3Scan]] = {".mcap": McapScan, ".db3": Db3Scan}
_ROS1, _ZSTD, _ZSTD_MAGIC = ".bag", ".zstd", b"\x28\xb5\x2f\xfd"

#: Entries of the metadata that are used, and their types.
_KINDS = {"relative_file_paths": list, "custom_data": dict, "topics_with_message_count": list}
#: The last time in nanoseconds that a bag can have.
_LAST_TIME = 2**63 - 1

log = logging.getLogger(__name__)


def is_bag(path: Path) -> bool:
    """Return whether a path looks like a bag: its folder, or one of its files."""
    if not path.is_dir():
        return _is_bag_file(path) or path.suffix == _ROS1
    if (path / "metadata.yaml").is_file():
        return True
    files = list(path.iterdir())
    return any(map(_is_bag_file, files)) and not any(file.suffix.lower() in IMAGES for file in files)


def _is_bag_file(path: Path) -> bool:
    return Path(path.name.removesuffix(_ZSTD)).suffix in SUFFIXES


def read_metadata(folder: Path) -> dict[str, Any]:
    """Read a bag's ``metadata.yaml``; return an empty mapping if it is missing or cannot be read.

    Entries of another type than they should be are left out.
    """
    try:
        content = yaml.safe_load((folder / "metadata.yaml").read_text(errors="replace"))
        found = content["rosbag2_bagfile_information"]
        if not isinstance(found, dict):
            return {}
    except (OSError, yaml.YAMLError, RecursionError, KeyError, TypeError):
        return {}
    for name, kind in _KINDS.items():
        if not isinstance(found.get(name), kind):
            found[name] = kind()
    found["relative_file_paths"] = [name for name in found["relative_file_paths"] if isinstance(name, str)]
    return found


def files_of(path: Path, metadata: dict[str, Any]) -> list[Path]:
    """The files of a bag in their order.

    Raises:
        BagError: there are none, or it is a ROS 1 bag.
    """
    if not path.exists():
        raise BagError(f"bag {path} cannot be read: there is no such file or folder")
    if path.is_file():
        if path.suffix == _ROS1:
            command = shlex.join(["rosbags-convert", "--src", str(path), "--dst", path.stem])
            raise BagError(f"bag {path} is of ROS 1; convert it first: {command}")
        if not _is_bag_file(path):
            raise BagError(
                f"bag {path} has the ending {path.suffix!r}; expected one of {', '.join(SUFFIXES)}"
            )
        return [path]
    listed = [path / Path(name).name for name in dict.fromkeys(metadata.get("relative_file_paths") or ())]
    there = [file for file in listed if file.is_file()]
    for file in listed:
        if file not in there:
            log.warning("left out: %s, which the bag's metadata.yaml lists, is missing", file)
    if there:
        return there
    found = sorted(filter(_is_bag_file, path.iterdir()), key=natural_order)
    if not found:
        raise BagError(f"bag {path} has no files; expected {' or '.join(SUFFIXES)} in the folder")
    names = ", ".join(file.name for file in found)
    log.warning("bag %s has no usable metadata.yaml; its files by their names: %s", path, names)
    return found


class BagFile:
    """One file, opened whenever it is read. Temporary files live as long as ``stack``.

    Raises:
        BagError: the file cannot be read.
    """

    def __init__(self, path: Path, stack: ExitStack) -> None:
        from rosbags.rosbag2 import Reader

        self.path = path
        try:
            self._file = _usable(path, stack)
        except (sqlite3.Error, zstd().ZstdError) as error:
            raise BagError(f"bag {path} cannot be read: {error}; {_mend(path)}") from error
        self._scan: McapScan | Db3Scan | None = None
        try:
            if self._file.suffix == ".mcap" and not has_chunk_index(self._file):
                raise BagError("rosbags wants messages without an index in the order of their time")
            with Reader(self._file) as reader:
                self.channels = [_channel(connection) for connection in reader.connections]
        except Exception:  # parsers behind rosbags raise anything on a damaged file
            try:
                self._scan = scan = _SCANS[self._file.suffix](self._file)
            except BagError as error:
                raise BagError(f"bag {path} cannot be read: {error}; {_mend(path)}") from error
            self.channels = list(scan.channels.values())
            if not scan.closed:
                log.warning("bag %s was cut off: it is read up to there; %s", path, _mend(path))

    def messages(self, wanted: Channel | None = None) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield channel, time in nanoseconds and content, of all channels or of the wanted one's topic.

        Damaged messages are skipped, with a warning.
        """
        found = self._scan.messages() if self._scan else self._read(wanted)
        moved = strange = 0
        for channel, time, raw in found:
            if not isinstance(raw, bytes | memoryview) or not isinstance(time, int):
                strange += 1  # SQLite takes any type in any column
            elif wanted is None or channel.key == wanted.key:
                moved += (right := min(max(time, 0), _LAST_TIME)) != time
                yield channel, right, _decompressed(raw)
        if strange:
            log.warning("left out: %d rows of %s that are no messages", strange, self.path)
        if moved:
            log.warning(
                "bag %s: %d messages have times that a bag cannot have; the nearest possible ones are taken",
                *(self.path, moved),
            )

    def _read(self, wanted: Channel | None) -> Iterator[tuple[Channel, int, bytes]]:
        from rosbags.rosbag2 import Reader

        last = -1
        with Reader(self._file) as reader:
            channels = {connection.id: _channel(connection) for connection in reader.connections}
            chosen = [c for c in reader.connections if wanted is None or channels[c.id].key == wanted.key]
            found = reader.messages(connections=chosen) if chosen else iter(())
            while True:
                try:
                    connection, last, raw = next(found)
                except StopIteration:
                    return
                except MemoryError:
                    raise
                except Exception as error:  # as above
                    log.warning("bag %s is damaged (%s); %s", self.path, error, _mend(self.path))
                    break
                yield channels[connection.id], last, raw
        # rosbags reads by time and stops at the damage: later messages are still readable.
        later = _SCANS[self._file.suffix](self._file).messages()
        yield from (message for message in later if message[1] > last)


def _mend(path: Path) -> str:
    if ".db3" in path.suffixes:
        return f"to mend it: {shlex.join(['sqlite3', str(path), '.recover'])} | sqlite3 mended.db3"
    return f"to mend it: {shlex.join(['mcap', 'recover', str(path), '-o', 'mended.mcap'])}"


def _decompressed(raw: bytes) -> bytes:
    """A message as it was published: ``ros2 bag record --compression-mode message`` compresses each."""
    if raw[:4] != _ZSTD_MAGIC:
        return raw
    try:
        return zstd().decompress(raw)
    except (zstd().ZstdError, EOFError):
        return raw


def _channel(connection: Any) -> Channel:
    from rosbags.interfaces import MessageDefinitionFormat

    known = connection.msgdef.format != MessageDefinitionFormat.NONE
    is_idl = connection.msgdef.format == MessageDefinitionFormat.IDL
    made = Channel.of(
        connection.topic,
        connection.msgtype,
        "" if not known else "ros2idl" if is_idl else "ros2msg",
        connection.msgdef.data,
        connection.ext.serialization_format,
        "",
    )
    return made.recorded(connection.digest, connection.ext.offered_qos_profiles, connection.msgcount)


def _usable(path: Path, stack: ExitStack) -> Path:
    """The file as rosbags can open it: decompressed, and with the journal that a killed recorder left."""
    if path.suffix == _ZSTD:
        file = _temporary(stack) / path.stem
        with zstd().open(path, "rb") as compressed, file.open("wb") as plain:
            try:
                while block := compressed.read(1 << 20):
                    plain.write(block)
            except (EOFError, zstd().ZstdError) as error:
                log.warning("bag %s is cut off or damaged (%s): it is read up to there", path, error)
        return file
    journal = path.with_name(path.name + "-wal")
    if path.suffix == ".db3" and journal.is_file() and journal.stat().st_size:
        file = _temporary(stack) / "bag.db3"
        shutil.copyfile(path, file)
        shutil.copyfile(journal, file.with_name("bag.db3-wal"))
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return file
    return plain_name(path, stack) if path.suffix == ".db3" else path


def plain_name(path: Path, stack: ExitStack) -> Path:
    """A name for a file or folder that SQLite, to which it is a URI, does not misread."""
    if not re.search(r"[%?#]|[^\x00-\x7f]", str(path)):
        return path
    link = _temporary(stack) / f"bag{path.suffix if path.is_file() else ''}"
    link.symlink_to(path.resolve())
    return link


def _temporary(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evitsam-bag-")))
