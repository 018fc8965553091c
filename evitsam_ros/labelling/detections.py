# SPDX-License-Identifier: Apache-2.0
"""A detector's messages in a bag as prompts of the images of the same stamp."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from ..io.bags import BagError

# The module reads messages by their fields and imports no ROS.
from ..nodes.prompt_messages import prompts_from_detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..io.bags.reader import Bag
    from ..segment import Prompt

_TYPE = "vision_msgs/msg/Detection2DArray"
#: Ids that are numbers, and the largest one of an object.
_ID, MAX_ID = re.compile("[0-9]{1,5}"), 65535

log = logging.getLogger(__name__)


def read_detections(bag: Bag, topic: str) -> Iterator[Any]:
    """Yield the messages of a detector's topic.

    Raises:
        BagError: There is no such topic, it is of another type, or its definition was not recorded.
    """
    from rosbags.typesys import Stores, TypesysError, get_types_from_idl, get_types_from_msg, get_typestore

    found = [channel for channel in bag.channels if channel.topic == topic]
    channel = next((c for c in found if c.msgtype.replace("/msg/", "/") == _TYPE.replace("/msg/", "/")), None)
    if channel is None:
        have = f"of the type {found[0].msgtype}" if found else "not in it"
        raise BagError(f"bag {bag.path}: the topic {topic} is {have}; expected a topic of the type {_TYPE}")
    if channel.definition is None:
        raise BagError(
            f"bag {bag.path}: the definition of {_TYPE} was not recorded; expected a bag that has it"
        )
    store = get_typestore(Stores.ROS2_JAZZY)
    parse = get_types_from_idl if "IDL: " in channel.definition[:400] else None
    try:
        types = parse(channel.definition) if parse else get_types_from_msg(channel.definition, _TYPE)
        store.register({name: value for name, value in types.items() if name not in store.types})
        if _TYPE not in store.types:
            raise KeyError(_TYPE)
    except (TypesysError, KeyError, SyntaxError) as error:
        raise BagError(
            f"bag {bag.path}: the definition of {_TYPE} that was recorded cannot be read ({error})"
        ) from error
    for number, (_, _, raw) in enumerate(bag.messages(channel)):
        try:
            yield store.deserialize_cdr(raw, _TYPE)
        except MemoryError:
            raise
        except Exception as error:  # the parser raises anything on damaged bytes
            log.warning("left out: %s, %s, message %d cannot be read (%s)", bag.path, topic, number, error)


def by_stamp(messages: Iterable[Any], where: str) -> dict[int, Any]:
    """Return a detector's messages by the stamp of their image, in nanoseconds; of equal stamps the last.

    Args:
        messages: with headers.
        where: bag and topic, for messages.

    Raises:
        BagError: A message has no stamp, so that its image is unknown.
    """
    found: dict[int, Any] = {}
    twice = 0
    for message in messages:
        stamp = nanoseconds(message.header.stamp)
        if not stamp:
            raise BagError(f"{where}: a message has the stamp 0; expected the stamp of its image")
        twice += stamp in found
        found[stamp] = message
    if twice:
        log.warning("%s: %d messages have the stamp of another one; the last of a stamp counts", where, twice)
    return found


def nanoseconds(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def numbered_prompts(message: Any) -> tuple[list[Prompt], dict[int, str]]:
    """Return the prompts of a message with object ids, and the classes by object id.

    An id is the sender's where it is a number from 1 to 65535 that no other object has, else the next one
    that is free from the place in the message on.

    Raises:
        PromptError: Naming the detection by its index, and the value that is wrong.
    """
    from dataclasses import replace

    if message is None:
        return [], {}
    prompts, names, used = [], {}, set()
    for place, found in enumerate(prompts_from_detections(message), start=1):
        sender = int(found.sender_id) if _ID.fullmatch(found.sender_id) else 0
        identity = sender if 0 < sender <= MAX_ID and sender not in used else place
        while identity in used:
            identity += 1
        used.add(identity)
        prompts.append(replace(found.prompt, object_id=identity))
        if found.name:
            names[identity] = found.name
    return prompts, names
