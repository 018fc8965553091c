# SPDX-License-Identifier: Apache-2.0
"""Which addresses the page may have, and which requests are let in."""

import socket

import pytest

from evitsam_ros.web.access import Access, AccessError

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1"])
def test_loopback_needs_no_token(host):
    assert Access(host).accepts_token("")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "robot.local"])
def test_a_public_address_requires_a_token(host):
    with pytest.raises(AccessError, match=r"expected a token.*openssl rand"):
        Access(host)
    access = Access(host, token=TOKEN)
    assert access.accepts_token(TOKEN)
    assert not any(access.accepts_token(t) for t in ("", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é" * 16))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": ""}, "host is empty"),
        ({"port": -1}, "port is -1"),
        ({"port": 65536}, "port is 65536"),
        ({"token": "short"}, "token has 5 characters; expected 16"),
        ({"token": "é" * 16}, "ASCII"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(options, text):
    with pytest.raises(AccessError, match=text):
        Access(**options)


@pytest.mark.parametrize(
    ("header", "local", "open_to_all"),
    [
        ("127.0.0.1:8765", True, True),
        ("localhost", True, True),
        ("LOCALHOST:9000", True, True),  # forwarded by ssh -L
        ("[::1]:8765", True, True),
        ("192.168.1.5:8765", False, True),
        (socket.gethostname(), socket.gethostname() == "localhost", True),
        ("evil.example", False, False),
        ("evil.example:8765", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("localhost.evil.example", False, False),
        ("", False, False),
        ("[::1", False, False),
        ("127.0.0.1@evil.example", False, False),
    ],
)
def test_a_name_that_was_bound_to_this_computer_is_rejected(header, local, open_to_all):
    assert Access().accepts_host(header) is local
    assert Access("0.0.0.0", token=TOKEN).accepts_host(header) is open_to_all


@pytest.mark.parametrize(
    ("origin", "is_accepted"),
    [
        ("http://127.0.0.1:8765", True),
        ("https://127.0.0.1:8765", True),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:8766", False),
        ("http://localhost:8765", False),
        ("https://evil.example", False),
        ("http://127.0.0.1:8765.evil.example", False),
        ("file://", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_the_page_itself_opens_its_websocket(origin, is_accepted):
    assert Access.accepts_origin(origin, "127.0.0.1:8765") is is_accepted
