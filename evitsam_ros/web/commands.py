# SPDX-License-Identifier: Apache-2.0
"""The commands of a page, read from JSON that may be anything: every field is checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Maximum length of a command, bytes.
MAX_LENGTH = 2048
#: Maximum length of a name, characters.
MAX_NAME = 64
#: Maximum coordinate, pixels.
MAX_PIXEL = 65536.0
#: Maximum id of an object: a value in a 16-bit label map.
MAX_ID = 65535
MODES = ("prompt", "everything")


class CommandError(ValueError):
    """A command that cannot be used; the message has the expected form."""


@dataclass(frozen=True)
class Watch:
    """Show a camera. ``camera``: its name, empty for the only one; None: no camera."""

    camera: str | None


@dataclass(frozen=True)
class Shown:
    """A frame was drawn. ``number``: as sent with the frame."""

    number: int


@dataclass(frozen=True)
class AddPoint:
    """Add a point, in pixels of the image, to an object.

    Attributes:
        target: name of the object; empty for a new one.
        is_foreground: the object contains the point.
        stamp: of the frame that was clicked, nanoseconds; 0 for the newest.
    """

    camera: str
    x: float
    y: float
    is_foreground: bool
    target: str
    stamp: int


@dataclass(frozen=True)
class AddBox:
    """Add an object by its box, in pixels of the image: two opposite corners."""

    camera: str
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Remove:
    """Remove the object with an id of the label map."""

    camera: str
    identity: int


@dataclass(frozen=True)
class Clear:
    """Remove all prompted objects."""

    camera: str


@dataclass(frozen=True)
class SetMode:
    """Segment prompted objects, or everything."""

    mode: str


Command = Watch | Shown | AddPoint | AddBox | Remove | Clear | SetMode


def parse_command(text: str) -> Command:
    """Parse one command.

    Raises:
        CommandError: It is no JSON object, has unknown or missing fields, or a value out of range.
    """
    if len(text) > MAX_LENGTH:
        raise CommandError(f"command has {len(text)} characters; expected at most {MAX_LENGTH}")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError("command is not JSON") from error
    if not isinstance(fields, dict):
        raise CommandError("command is not a JSON object")
    kind = fields.pop("type", None)
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        raise CommandError(f"type is {_shown(kind)}; expected one of {', '.join(_KINDS)}")
    made, readers = known
    if fields.keys() != readers.keys():
        raise CommandError(f"{kind} has the fields {_shown(sorted(fields))}; expected {sorted(readers)}")
    return made(**{name: read(name, fields[name]) for name, read in readers.items()})


def _pixel(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_PIXEL:
        raise CommandError(f"{name} is {_shown(value)}; expected 0 to {MAX_PIXEL:.0f} pixels")
    return float(value)


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise CommandError(f"{name} is {_shown(value)}; expected a whole number from {low} to {high}")
        return value

    return read


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise CommandError(f"{name} is {_shown(value)}; expected true or false")
    return value


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME or not (value == "" or value.isprintable()):
        raise CommandError(f"{name} is {_shown(value)}; expected at most {MAX_NAME} characters of text")
    return value


def _stamp(name: str, value: Any) -> int:
    """Read a stamp; it is text, because 64 bits do not fit into a number of JavaScript."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 19:
        raise CommandError(f"{name} is {_shown(value)}; expected nanoseconds as text")
    return int(value)


def _optional_name(name: str, value: Any) -> str | None:
    return None if value is None else _name(name, value)


def _mode(name: str, value: Any) -> str:
    if value not in MODES:
        raise CommandError(f"{name} is {_shown(value)}; expected {' or '.join(MODES)}")
    return str(value)


def _shown(value: Any) -> str:
    """Return a value as text of bounded length; NaN and infinity are shown as such."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}…"


#: Type -> class of the command, and the readers of its fields.
_KINDS: dict[str, tuple[Callable[..., Command], dict[str, Callable[[str, Any], Any]]]] = {
    "watch": (Watch, {"camera": _optional_name}),
    "shown": (Shown, {"number": _whole(0, 2**53)}),
    "point": (
        AddPoint,
        {"camera": _name, "x": _pixel, "y": _pixel, "is_foreground": _flag, "target": _name, "stamp": _stamp},
    ),
    "box": (AddBox, {"camera": _name, "x0": _pixel, "y0": _pixel, "x1": _pixel, "y1": _pixel}),
    "remove": (Remove, {"camera": _name, "identity": _whole(1, MAX_ID)}),
    "clear": (Clear, {"camera": _name}),
    "mode": (SetMode, {"mode": _mode}),
}
