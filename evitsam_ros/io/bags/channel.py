# SPDX-License-Identifier: Apache-2.0
"""A topic of a recording: its type, definition, QoS and number of messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
_RULE = "=" * 80 + "\n"


class BagError(ValueError):
    """A bag cannot be read or written, or it has no such topic."""


@dataclass(frozen=True)
class Channel:
    """The messages of one type on one topic.

    Attributes:
        topic, msgtype: their names as recorded; the type's may be short, as ``sensor_msgs/Image``.
        definition: the type's text, .msg or IDL as ``ros2 bag`` writes them; None if it was not recorded.
        digest: the type's hash; empty if it was not recorded.
        serialization: of the messages; ``cdr`` for ROS 2.
        qos: the publishers' profiles, as rosbags has them.
        count: messages.
    """

    topic: str
    msgtype: str
    definition: str | None = None
    digest: str = ""
    serialization: str = "cdr"
    qos: tuple[Any, ...] = ()
    count: int = 0

    @classmethod
    def of(
        cls, topic: str, msgtype: str, encoding: str, definition: str, serialization: str, qos: str
    ) -> Channel:
        """Make a channel from the fields of a file: the schema's encoding, and the profiles as YAML."""
        text: str | None = definition
        if encoding in ("ros2idl", "omgidl"):
            text = definition if definition.startswith(_RULE) else f"{_RULE}IDL: {msgtype}\n{definition}"
        elif encoding != "ros2msg":
            text = None
        return cls(topic, msgtype, text, "", serialization, tuple(_profiles(qos)))

    @property
    def key(self) -> tuple[str, str, str]:
        """Identity of the channel: channels with equal keys are one topic of the bag."""
        return self.topic, self.msgtype, self.serialization

    @property
    def image_type(self) -> str | None:
        """The full name of an image type; None for other types."""
        package, _, name = self.msgtype.partition("/")
        full = f"{package}/msg/{name.removeprefix('msg/')}"
        return full if full in (IMAGE, COMPRESSED) and self.serialization == "cdr" else None

    def counted(self, count: int) -> Channel:
        """Return the channel with another number of messages."""
        return replace(self, count=count)

    def recorded(self, digest: str, qos: list[Any], count: int) -> Channel:
        """Return the channel with the type's hash, the profiles and the count of a bag's metadata."""
        return replace(self, digest=digest, qos=tuple(qos), count=count)

    def joined(self, other: Channel) -> Channel:
        """Merge with a channel of the same key: of a second publisher, or of the bag's next file."""
        return replace(
            self,
            definition=self.definition if self.definition is not None else other.definition,
            digest=self.digest or other.digest,
            qos=self.qos + tuple(profile for profile in other.qos if profile not in self.qos),
            count=self.count + other.count,
        )


def _profiles(text: str) -> list[Any]:
    """Parse QoS profiles; return none if they cannot be parsed, because the messages matter more."""
    from rosbags.rosbag2.metadata import parse_qos

    try:
        return parse_qos(text)
    except Exception:
        return []
