# SPDX-License-Identifier: Apache-2.0
"""Write a new bag by rosbags: copied channels of any type, and new ones."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.storage_mcap import McapWriter, Schema, write_schema
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from ...installed import CHECKOUT

if TYPE_CHECKING:
    from types import TracebackType

    from rosbags.interfaces import Connection

    from .channel import Channel

#: Placeholder of an unknown hash or definition; files get an empty one, as ``ros2 bag`` writes it.
_UNKNOWN = "unknown"

#: Quality of service of latched topics.
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    QosTime(0, 0),
    QosTime(0, 0),
    QosLiveliness.AUTOMATIC,
    QosTime(0, 0),
    False,
)


class BagWriter:
    """Writes a bag's folder.

    Args:
        folder: a new one.
        storage: ``.mcap`` or ``.db3``.
    """

    def __init__(self, folder: Path, storage: str, custom_data: dict[str, str]) -> None:
        plugin = StoragePlugin.SQLITE3 if storage == ".db3" else StoragePlugin.MCAP
        self._bag = _Writer(folder, version=9, storage_plugin=plugin)
        self._bag.custom_data.update(custom_data)
        self._store = get_typestore(Stores.ROS2_JAZZY)
        self._copies: dict[tuple, Connection] = {}

    @property
    def types(self) -> dict[str, type]:
        """Message classes by the names of their types."""
        return self._store.types

    def knows(self, msgtype: str) -> bool:
        """Whether rosbags has a type, or its definition is installed on this machine or in the checkout."""
        if msgtype not in self._store.types:
            _register(self._store, msgtype.partition("/")[0])
        return msgtype in self._store.types

    def __enter__(self) -> BagWriter:
        self._bag.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bag.__exit__(kind, error, traceback)

    def add_copy(self, channel: Channel) -> None:
        """Add a channel for :meth:`copy`, with the definition that was recorded, else with this machine's."""
        definition, digest = channel.definition, channel.digest
        if definition is None:
            definition = self._known_definition(channel.msgtype)
        if definition is not None and not digest:
            digest = self._digest(channel.msgtype, definition)
        self._copies[channel.key] = self._bag.add_connection(
            channel.topic,
            channel.msgtype,
            msgdef=_UNKNOWN if definition is None else definition,
            rihs01=digest or _UNKNOWN,
            serialization_format=channel.serialization,
            offered_qos_profiles=channel.qos,
        )

    def copy(self, channel: Channel, time: int, raw: bytes) -> None:
        """Write a serialized message of a channel of :meth:`add_copy`, at a time in nanoseconds."""
        self._bag.write(self._copies[channel.key], time, raw)

    def add(self, topic: str, msgtype: str, *, latched: bool = False) -> Connection:
        """Add a topic, and return the connection that :meth:`write` takes.

        Args:
            topic: its name.
            msgtype: type of its messages.
            latched: a player offers the last message to later subscribers too.
        """
        profiles = [LATCHED] if latched else []
        return self._bag.add_connection(topic, msgtype, typestore=self._store, offered_qos_profiles=profiles)

    def write(self, connection: Connection, time: int, message: Any) -> None:
        """Serialize and write a message, at a time in nanoseconds."""
        self._bag.write(connection, time, self._store.serialize_cdr(message, connection.msgtype))

    def _known_definition(self, msgtype: str) -> str | None:
        try:
            return self._store.generate_msgdef(msgtype, ros_version=2)[0] if self.knows(msgtype) else None
        except TypesysError:  # a type inside it is nowhere
            return None

    def _digest(self, msgtype: str, definition: str) -> str:
        """Return the hash of a definition; empty if rosbags cannot parse it, such as that of a service's
        events.
        """
        store = get_typestore(Stores.EMPTY)
        try:
            store.register(get_types_from_msg(definition, msgtype))
            return store.hash_rihs01(msgtype)
        except (TypesysError, KeyError, SyntaxError):
            return ""


def _register(store: Any, package: str) -> None:
    """Take over the message definitions of a package that is installed or in the checkout."""
    prefixes = [Path(p) / "share" for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for base in [*prefixes, CHECKOUT / "interfaces"]:
        types: dict = {}
        for file in sorted((base / package / "msg").glob("*.msg")):
            with suppress(TypesysError):
                types.update(get_types_from_msg(file.read_text(), f"{package}/msg/{file.stem}"))
        new = {name: value for name, value in types.items() if name not in store.types}
        if new:
            store.register(new)
            return


class _Mcap(McapWriter):
    def add_msgtype(self, connection: Connection) -> None:
        if connection.msgdef.data != _UNKNOWN:
            super().add_msgtype(connection)
            return
        schema = Schema(len(self.schemas) + 1, connection.msgtype, "", "")
        self.schemas.append(schema)
        write_schema(self.chunk.bio, schema)


class _Sqlite3(Sqlite3Writer):
    def add_msgtype(self, connection: Connection) -> None:
        if connection.msgdef.data != _UNKNOWN:
            super().add_msgtype(_without_placeholder(connection))

    def add_connection(self, connection: Connection, offered_qos_profiles: str) -> None:
        super().add_connection(_without_placeholder(connection), offered_qos_profiles)


class _Writer(Writer):
    """Extend rosbags' writer to types without a recorded definition or hash."""

    STORAGE_PLUGINS = {StoragePlugin.MCAP: _Mcap, StoragePlugin.SQLITE3: _Sqlite3}  # noqa: RUF012

    def close(self) -> None:
        self.connections = [_without_placeholder(connection) for connection in self.connections]
        super().close()


def _without_placeholder(connection: Connection) -> Connection:
    return connection._replace(digest="") if connection.digest == _UNKNOWN else connection
