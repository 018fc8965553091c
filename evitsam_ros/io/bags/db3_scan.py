# SPDX-License-Identifier: Apache-2.0
"""A .db3 file read row by row, by Python's own SQLite.

For files that rosbags does not open: truncated, or with types without a definition (the recorder writes the
encoding ``unknown`` for them).
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from .channel import BagError, Channel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)


class Db3Scan:
    """The channels of a file, and its messages in the order of their recording.

    Attributes:
        channels: by their number in the file.
        closed: whether all rows can be read.

    Raises:
        BagError: the file is no bag, or its topics cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.closed = path, True
        try:
            with closing(self._open()) as database:
                self.channels = _channels(database)
                counts = self._counts(database)
        except sqlite3.Error as error:
            raise BagError(str(error)) from error
        for number, channel in self.channels.items():
            self.channels[number] = channel.counted(counts[number])

    def messages(self) -> Iterator[tuple[Channel, int, bytes]]:
        """Yield channel, time of the recording in nanoseconds, and content, up to the first damaged row."""
        with closing(self._open()) as database:
            rows = database.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            while True:
                try:
                    number, time, raw = next(rows)
                except (StopIteration, sqlite3.Error):
                    return
                if number in self.channels and isinstance(raw, bytes) and isinstance(time, int):
                    yield self.channels[number], time, raw

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)
        database.row_factory = sqlite3.Row
        return database

    def _counts(self, database: sqlite3.Connection) -> Counter[int]:
        counts: Counter[int] = Counter()
        try:
            for (number,) in database.execute("SELECT topic_id FROM messages ORDER BY id"):
                counts[number] += 1
        except sqlite3.Error:
            self.closed = False
        return counts


def _channels(database: sqlite3.Connection) -> dict[int, Channel]:
    definitions: dict[str, tuple[str, str]] = {}
    tables = {row["name"] for row in database.execute("SELECT name FROM sqlite_master")}
    if not {"topics", "messages"} <= tables:
        raise sqlite3.DatabaseError("it has no tables of topics and messages")
    if "message_definitions" in tables:
        for row in database.execute("SELECT * FROM message_definitions"):
            definitions[row["topic_type"]] = row["encoding"], row["encoded_message_definition"]
    channels = {}
    for row in database.execute("SELECT * FROM topics"):
        # Columns came with the releases of ROS 2.
        qos = row["offered_qos_profiles"] if "offered_qos_profiles" in row.keys() else ""  # noqa: SIM118
        digest = row["type_description_hash"] if "type_description_hash" in row.keys() else ""  # noqa: SIM118
        if not (isinstance(row["name"], str) and isinstance(row["type"], str)):
            continue
        encoding, text = definitions.get(row["type"], ("", ""))
        channel = Channel.of(row["name"], row["type"], encoding, text, row["serialization_format"], qos)
        channels[row["id"]] = channel.recorded(digest, list(channel.qos), 0)
    return channels
