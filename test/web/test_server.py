# SPDX-License-Identifier: Apache-2.0
"""The page's server over real sockets: what it answers, to whom, and that no viewer holds up another."""

import base64
import http.client
import os
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

from evitsam_ros.web.access import Access, AccessError
from evitsam_ros.web.commands import Clear, SetMode
from evitsam_ros.web.server import MORE_CONNECTIONS, PageServer

from .page_client import PageClient

TOKEN = "0123456789abcdef"


class Served:
    """A server, and what it has asked for."""

    def __init__(self, max_viewers: int = 4, **access) -> None:
        self.commands: list = []
        self.watched: list[frozenset[str]] = []
        on_command = lambda viewer, command: self.commands.append((viewer, command))  # noqa: E731
        self.server = PageServer(Access(port=0, **access), max_viewers, on_command, self.watched.append)
        self.server.start()
        self.url = self.server.url

    def request(self, path: str = "/", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        response = connection.getresponse()
        response.text = response.read().decode()
        connection.close()
        return response

    def handshake(self, **headers: str) -> http.client.HTTPResponse:
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        return self.request("/ws", **upgrade, **{"Sec-WebSocket-Key": key}, **headers)


@contextmanager
def serving(**options):
    made = Served(**options)
    try:
        yield made
    finally:
        made.server.stop()


@pytest.fixture(scope="module")
def served():
    with serving(max_viewers=24) as made:
        yield made


@pytest.fixture
def moving(served):
    """Frames, 50 a second, whose colour is their number; they end with the test."""
    ended = threading.Event()

    def show() -> None:
        number = 0
        while not ended.wait(0.02):
            number += 1
            image = np.full((360, 640, 3), number % 250, np.uint8)
            served.server.show_frame("", number, image)

    thread = threading.Thread(target=show)
    thread.start()
    yield
    ended.set()
    thread.join()


# Requests ------------------------------------------------------------------------------------------


def test_the_page_loads_only_its_own_resources(served):
    response = served.request()
    page, policy = response.text, response.headers["Content-Security-Policy"]
    assert response.status == 200 and response.headers["Content-Type"].startswith("text/html")
    assert not re.findall(r"https?://|@import|<link|<img|<iframe|\ssrc=|url\(|innerHTML|eval\(", page)
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("sha256-") == 2
    assert page.count("<script") == page.count("<style") == 1
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/page.html",
        "/server.py",
        "/../server.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/ws/..",
        "/.",
    ],
)
def test_no_file_is_served(served, path):
    response = served.request(path)
    assert response.status == 404 and len(response.text) < 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_is_answered(served, method):
    assert served.request(method=method).status == 405


def test_another_name_of_this_computer_is_refused(served):
    for path in ("/", "/ws", "/nowhere"):
        response = served.request(path, Host="evil.example")
        assert response.status == 403 and "Use the computer's address" in response.text


def test_a_websocket_of_another_page_is_refused(served):
    port = urlsplit(served.url).port
    own = f"http://127.0.0.1:{port}"
    assert served.handshake(Origin=own).status == 101
    for origin in ("https://evil.example", f"http://localhost:{port}", "null"):
        assert served.handshake(Origin=origin).status == 403
    assert served.handshake().status == 403
    assert served.handshake(Origin="http://evil.example", Host="evil.example").status == 403


def test_a_token_is_required_and_stored_in_a_cookie():
    with serving(host="0.0.0.0", token=TOKEN) as made:
        assert made.request().status == 401 and "?token=TOKEN" in made.request().text
        assert made.request("/?token=" + TOKEN[:-1] + "0").status == 401
        response = made.request("/?token=" + TOKEN)
        cookie = response.headers["Set-Cookie"]
        assert response.status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
        own = made.url.rstrip("/")
        assert made.handshake(Origin=own).status == 401
        assert made.handshake(Origin=own, Cookie=cookie.split(";")[0]).status == 101
        assert made.handshake(Origin=own, Cookie=cookie.split("=")[0] + "=wrong").status == 401


def test_a_port_in_use_is_named(served):
    port = urlsplit(served.url).port
    with pytest.raises(AccessError, match=rf"127\.0\.0\.1:{port}.*in use.*free port"):
        PageServer(Access(port=port), 1, lambda *_: None, lambda _: None).start()


def test_it_ends_while_pages_are_open_one_of_them_deaf():
    with serving() as made, PageClient(made.url) as page, deaf_viewer(made.url):
        assert page.until(lambda: made.watched)
        start = time.monotonic()
        made.server.stop()
        assert time.monotonic() - start < 30  # the deaf one has 10 s to answer elsewhere, 1 s here
        assert page.until(lambda: page.close_code is not None) and page.close_code == 1001
        made.server.show_frame("", 1, np.zeros((8, 8, 3), np.uint8))  # as late as that: nothing happens
        made.server.stop()


# Viewers -------------------------------------------------------------------------------------------


def test_commands_arrive_and_errors_are_sent_to_their_page_only(served):
    served.commands.clear()
    with PageClient(served.url) as page, PageClient(served.url) as other:
        page.send(type="mode", mode="everything")
        page.send(type="clear", camera="front")
        page.send(type="reboot")
        assert page.until(lambda: len(served.commands) == 2 and page.texts)
        numbers, commands = zip(*served.commands, strict=True)
        assert commands == (SetMode("everything"), Clear("front")) and len(set(numbers)) == 1
        assert "type is 'reboot'; expected" in page.texts[0]
        served.server.show_text("to one", numbers[0])
        served.server.show_text("to all")
        assert page.until(lambda: page.texts[1:] == ["to one", "to all"] and other.texts == ["to all"])


def test_only_viewed_cameras_are_watched(served):
    served.watched.clear()
    with PageClient(served.url, camera=None) as page:
        time.sleep(0.2)
        # The page of the test before may end only now, with an empty set.
        assert not any(served.watched)
        page.send(type="watch", camera="front")
        page.send(type="watch", camera="front")
        assert page.until(lambda: [each for each in served.watched if each] == [{"front"}])
        with PageClient(served.url, camera="rear") as other:
            assert page.until(lambda: served.watched[-1] == {"front", "rear"})
            other.send(type="watch", camera=None)  # its tab is hidden
            assert page.until(lambda: served.watched[-1] == {"front"})
    assert page.until(lambda: served.watched[-1] == frozenset())


def test_the_newest_frame_is_sent_and_older_ones_are_not(served, moving):
    with PageClient(served.url) as fast, PageClient(served.url, delay=0.4) as slow:
        assert fast.until(lambda: len(fast.frames) > 20 and len(slow.frames) > 4)
        for page in (fast, slow):
            numbers = [frame[0] for frame in page.frames]
            assert numbers == sorted(set(numbers))
        gaps = np.diff([frame[1] for frame in slow.frames])
        assert gaps.min() >= 10, gaps  # 50 frames a second went by, 0.4 s for each
        for _, stamp, width, height, jpeg in fast.frames[-3:]:
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert (width, height) == (640, 360) and abs(int(image.mean()) - stamp % 250) <= 2
        assert slow.until(lambda: max(cv2_size(frame) for frame in slow.frames[3:]) < 640)  # it adapts


def cv2_size(frame) -> int:
    return cv2.imdecode(np.frombuffer(frame[4], np.uint8), cv2.IMREAD_COLOR).shape[1]


def deaf_viewer(url: str) -> socket.socket:
    """A websocket that watches, and never reads a byte."""
    netloc = urlsplit(url).netloc
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET /ws HTTP/1.1\r\nHost: {netloc}", f"Origin: http://{netloc}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", "\r\n"]
    text = b'{"type": "watch", "camera": ""}'
    masked = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    connection.sendall("\r\n".join(lines).encode() + masked)
    return connection


def test_twenty_viewers_and_some_that_never_read_block_no_other(served, moving):
    with ExitStack() as stack:
        deaf = [stack.enter_context(deaf_viewer(served.url)) for _ in range(3)]
        pages = [stack.enter_context(PageClient(served.url)) for _ in range(20)]
        assert pages[0].until(lambda: all(len(page.frames) > 8 for page in pages)), [
            len(p.frames) for p in pages
        ]
        assert served.request().status == 200
        assert all(page.close_code is None for page in pages) and len(deaf) == 3
        stamps = [page.frames[-1][1] for page in pages]
        assert max(stamps) - min(stamps) < 500  # nobody is more than some seconds behind


def test_too_many_pages_and_connections_are_refused():
    with serving(max_viewers=2) as made, ExitStack() as stack:
        pages = [stack.enter_context(PageClient(made.url)) for _ in range(3)]
        assert sorted(page.status or 0 for page in pages) == [0, 0, 503]
        address = urlsplit(made.url).hostname, urlsplit(made.url).port
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(MORE_CONNECTIONS + 8)]
        for each in silent:
            each.settimeout(60)
        assert silent[-1].recv(1) == b""  # closed at once
        assert pages[0].until(lambda: made.watched)


def test_a_silent_connection_is_closed(monkeypatch):
    monkeypatch.setattr("evitsam_ros.web.server.REQUEST_LIMIT", 0.2)
    with serving() as made, PageClient(made.url) as page:
        with socket.create_connection((urlsplit(made.url).hostname, urlsplit(made.url).port)) as silent:
            silent.settimeout(60)
            silent.sendall(b"GET / HTTP/1.1\r\nHost: 127")
            assert silent.recv(1) == b""
        made.server.show_text("still there")
        assert page.until(lambda: page.texts == ["still there"])


@pytest.mark.parametrize(
    "flood",
    [
        lambda page: [page.send_raw("{") for _ in range(25)],
        lambda page: [page.send_raw('{"type": "clear", "camera": ""}') for _ in range(2000)],
        lambda page: page.send_raw(b"\x00" * 100),
        lambda page: page.send_raw("x" * 100_000),
    ],
    ids=["nonsense", "flood", "bytes", "long"],
)
def test_a_page_that_breaks_the_rules_is_closed_and_the_others_stay(served, flood):
    served.commands.clear()
    with PageClient(served.url) as other, PageClient(served.url) as page:
        with suppress(ConnectionError):  # it is closed in the meantime
            flood(page)
        assert page.until(lambda: page.close_code is not None)
        assert page.close_code in (1008, 1009) and len(served.commands) < 1000
        served.server.show_text("still there")
        assert other.until(lambda: other.texts == ["still there"])


def test_a_page_that_acknowledges_no_frame_is_disconnected(monkeypatch):
    monkeypatch.setattr("evitsam_ros.web.viewer.SHOWN_LIMIT", 0.3)
    with serving() as made, deaf_viewer(made.url) as deaf:
        deadline = time.monotonic() + 60
        while not (made.watched and made.watched[-1] == frozenset()) and time.monotonic() < deadline:
            made.server.show_frame("", 1, np.zeros((64, 64, 3), np.uint8))
            time.sleep(0.02)
        assert made.watched[-1] == frozenset() and deaf.fileno() >= 0
