# SPDX-License-Identifier: Apache-2.0
"""Commands of a page: what is right is read as it is, anything else is an error of bounded length."""

import json

import pytest

from evitsam_ros.web.commands import (
    MAX_LENGTH,
    AddBox,
    AddPoint,
    Clear,
    CommandError,
    Remove,
    SetMode,
    Shown,
    Watch,
    parse_command,
)

POINT = {"type": "point", "camera": "", "x": 1.5, "y": 2, "is_foreground": True, "target": "", "stamp": "7"}


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"type": "watch", "camera": "front"}, Watch("front")),
        ({"type": "watch", "camera": None}, Watch(None)),
        ({"type": "shown", "number": 3}, Shown(3)),
        (POINT, AddPoint("", 1.5, 2.0, True, "", 7)),
        (POINT | {"stamp": "1795805118616021872"}, AddPoint("", 1.5, 2.0, True, "", 1795805118616021872)),
        ({"type": "box", "camera": "", "x0": 1, "y0": 2, "x1": 3, "y1": 4}, AddBox("", 1.0, 2.0, 3.0, 4.0)),
        ({"type": "remove", "camera": "rear", "identity": 12}, Remove("rear", 12)),
        ({"type": "clear", "camera": ""}, Clear("")),
        ({"type": "mode", "mode": "everything"}, SetMode("everything")),
    ],
)
def test_a_command_is_read_as_it_is(fields, command):
    assert parse_command(json.dumps(fields)) == command


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 2000, "not JSON"),
        ("x" * (MAX_LENGTH + 1), "expected at most"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"type": ["point"]}', "expected one of watch"),
        ('{"type": "reboot"}', "expected one of watch"),
        ('{"type": "clear"}', r"expected \['camera'\]"),
        ('{"type": "clear", "camera": "", "path": "/etc"}', r"expected \['camera'\]"),
        ('{"type": "mode", "mode": "off"}', "prompt or everything"),
        ('{"type": "mode", "mode": ["prompt"]}', "prompt or everything"),
        ('{"type": "remove", "camera": "", "identity": 0}', "1 to 65535"),
        ('{"type": "remove", "camera": "", "identity": true}', "whole number"),
        ('{"type": "remove", "camera": "", "identity": 1.0}', "whole number"),
        ('{"type": "shown", "number": -1}', "whole number"),
        ('{"type": "watch", "camera": "' + "a" * 65 + '"}', "at most 64"),
        ('{"type": "watch", "camera": "a\\u0000"}', "text"),
        *(
            (json.dumps(POINT | {name: value}), f"{name} is")
            for name, value in [
                ("x", float("nan")),
                ("x", float("inf")),
                ("x", -0.1),
                ("y", 1e9),
                ("y", "12"),
                ("y", None),
                ("y", True),
                ("y", 10**400),
                ("is_foreground", 1),
                ("target", 3),
                ("target", "x" * 65),
                ("stamp", 7),
                ("stamp", "-7"),
                ("stamp", "9" * 20),
                ("stamp", "\u0667"),
            ]
        ),
    ],
)
def test_anything_else_is_an_error_with_a_reason(text, reason):
    with pytest.raises(CommandError, match=reason) as error:
        parse_command(text)
    assert len(str(error.value)) < 400
