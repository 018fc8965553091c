# SPDX-License-Identifier: Apache-2.0
"""An MCAP file read from its beginning, record by record, without its index.

For files that rosbags does not open: cut off before the index was written, or with channels of other
encodings than ROS 2's. Format: https://mcap.dev/spec.
"""

from __future__ import annotations

import io
import logging
import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from .channel import BagError, Channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _DATA_END = 2, 3, 4, 5, 6, 8, 15
#: Bytes of the footer and the end mark.
_FOOTER_SIZE = 37

log = logging.getLogger(__name__)


def has_chunk_index(path: Path) -> bool:
    """Whether a file is closed and its summary lists its chunks."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _FOOTER_SIZE))
        footer = file.read()
        if len(footer) < _FOOTER_SIZE or footer[0] != _FOOTER or not footer.endswith(MAGIC):
            return False
        start = int.from_bytes(footer[9:17], "little")
        if not 0 < start < size:
            return False
        file.seek(start)
        return any(code == _CHUNK_INDEX for code, _, _ in _walk(file))


class McapScan:
    """The channels of a file, and its messages in the order of their recording.

    Attributes:
        channels: by their number in the file.
        closed: whether the file has its end; a recorder that lost power leaves none.

    Raises:
        BagError: the file is no MCAP, or there is no channel up to where it was cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.closed = path, False
        self.channels: dict[int, Channel] = {}
        schemas: dict[int, tuple[str, str, str]] = {}
        counts: Counter[int] = Counter()
        for code, body in self._records(report=True):
            with suppress(ValueError):  # a damaged description: its messages have no channel then
                if code == _SCHEMA:
                    number, schema = _schema(body)
                    schemas[number] = schema
                elif code == _CHANNEL:
                    number, channel = _channel(body, schemas)
                    self.channels.setdefault(number, channel)
            if code == _MESSAGE:
                counts[int.from_bytes(body[:2], "little")] += 1
        if not self.channels:
            raise BagError(f"it holds no channel{'' if self.closed else ' up to where it was cut off'}")
        for number, channel in self.channels.items():
            self.channels[number] = channel.counted(counts[number])

    def messages(self) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield channel, time of the recording in nanoseconds, and content."""
        for code, body in self._records():
            number = int.from_bytes(body[:2], "little")
            if code == _MESSAGE and len(body) >= 22 and number in self.channels:
                yield self.channels[number], int.from_bytes(body[6:14], "little"), body[22:]

    def _records(self, *, report: bool = False) -> Iterator[tuple[int, bytes]]:
        """Yield code and body of all complete records, those inside chunks in place of their chunks."""
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BagError("it is no MCAP file")
            for code, body, complete in _walk(file):
                if code in (_DATA_END, _FOOTER):
                    self.closed = True
                    return
                if code == _CHUNK:
                    content = self._content(body, report=report and complete)
                    yield from ((code, body) for code, body, whole in _walk(io.BytesIO(content)) if whole)
                elif complete:
                    yield code, body

    def _content(self, chunk: bytes, *, report: bool) -> bytes:
        """The records of a chunk; of one that was cut off, as much as there is."""
        reader = _Fields(chunk, 28)
        try:
            kind = reader.text()
            return _decompress(kind, chunk[reader.place + 8 :])
        except (ValueError, RuntimeError, EOFError, zstd().ZstdError) as error:
            if report:
                log.warning("left out: a damaged chunk of %s (%s)", self.path, error)
            return b""


def _walk(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Yield code, body and whether it is complete; the last one may be truncated. Zeros are not a record."""
    place = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(place)
    while len(head := file.read(9)) == 9 and head[0]:
        size = int.from_bytes(head[1:], "little")
        # Python allocates the size it is given: a damaged record may claim any.
        body = file.read(min(size, end - file.tell()))
        yield head[0], body, len(body) == size
        if len(body) < size:
            return


def _decompress(kind: str, data: bytes) -> bytes:
    """Decompress as much as the data contain."""
    if not kind:
        return data
    if kind == "lz4":
        from lz4.frame import LZ4FrameDecompressor

        return LZ4FrameDecompressor().decompress(data)
    if kind == "zstd":
        return zstd().ZstdDecompressor().decompress(data)
    raise ValueError(f"compression {kind!r} is unknown")


def zstd():
    """Python's zstd, or the one that rosbags brings along before Python 3.14."""
    try:
        from compression import zstd
    except ImportError:
        from backports import zstd
    return zstd


class _Fields:
    """Strings of a record, each with its length before it."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place

    def text(self) -> str:
        return self.bytes().decode(errors="replace")

    def bytes(self) -> bytes:
        start = self.place + 4
        self.place = start + int.from_bytes(self.data[self.place : start], "little")
        if self.place > len(self.data):
            raise ValueError("a string is cut off")
        return self.data[start : self.place]


def _schema(body: bytes) -> tuple[int, tuple[str, str, str]]:
    fields = _Fields(body, 2)
    return int.from_bytes(body[:2], "little"), (fields.text(), fields.text(), fields.text())


def _channel(body: bytes, schemas: dict[int, tuple[str, str, str]]) -> tuple[int, Channel]:
    fields = _Fields(body, 4)
    name, encoding, definition = schemas.get(int.from_bytes(body[2:4], "little"), ("", "", ""))
    topic, serialization = fields.text(), fields.text()
    entries, pairs = _Fields(fields.bytes(), 0), {}
    while entries.place < len(entries.data):
        key = entries.text()
        pairs[key] = entries.text()
    channel = Channel.of(
        topic, name, encoding, definition, serialization, pairs.get("offered_qos_profiles", "")
    )
    return int.from_bytes(body[:2], "little"), channel
