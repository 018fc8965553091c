# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server on the loopback that serves bytes, with the faults that real servers have."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>Too many requests</body></html>"
#: Answers one request in place of the server: (handler, content, position of the first byte asked for).
Fault = Callable[["Handler", bytes, int], None]


class Handler(BaseHTTPRequestHandler):
    """Serve ``server.files`` with ranges; the next fault planned for a path comes first."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path  # a proxy is asked for a whole URL
        server: FileServer = self.server.owner
        expected = self.headers.get("Range")
        server.requests.append((self.path, expected))
        start = int(re.fullmatch(r"bytes=(\d+)-", expected)[1]) if expected else 0
        faults = server.faults.get(path, [])
        content = server.files.get(path)
        if faults:
            faults.pop(0)(self, content, start)
        elif content is None:
            self.answer(404, b"not found")
        else:
            self.serve(content, start)

    def serve(self, content: bytes, start: int) -> None:
        """Send everything from ``start`` on."""
        if start and start >= len(content):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        elif start:
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.answer(206, content[start:], {"Content-Range": where})
        else:
            self.answer(200, content)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def head_of_rest(self, content: bytes, start: int) -> bytes:
        """Send the headers of the content from ``start`` on; return that part."""
        rest = content[start:]
        headers = {"Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.head(206 if start else 200, headers)
        return rest

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


class FileServer:
    """The server in a thread.

    Attributes:
        url: its address.
        files: path -> content.
        faults: path -> faults of the next requests, in order.
        requests: (path, ``Range`` header or None) of every request so far.
    """

    def __init__(self, tls=None) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.owner = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        self.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def status(code: int, headers: dict[str, str] | None = None) -> Fault:
    """Answer with a status and a short text."""
    return lambda handler, content, start: handler.answer(code, b"no", headers)


def cut(after: int) -> Fault:
    """Announce everything, send ``after`` bytes, close the connection."""

    def fault(handler: Handler, content: bytes, start: int) -> None:
        rest = handler.head_of_rest(content, start)
        handler.wfile.write(rest[:after])
        handler.close_connection = True

    return fault


def html(kind: str = "text/html; charset=utf-8") -> Fault:
    """Answer with a page and status 200."""
    return lambda handler, content, start: handler.answer(200, HTML, {"Content-Type": kind})


def redirect(to: str) -> Fault:
    return lambda handler, content, start: handler.answer(302, b"", {"Location": to})


def without_ranges(handler: Handler, content: bytes, start: int) -> None:
    """Send everything, whatever was asked for."""
    handler.answer(200, content)


def other_range(handler: Handler, content: bytes, start: int) -> None:
    """Send a range that was not asked for."""
    where = f"bytes {start + 7}-{len(content) - 1}/{len(content)}"
    handler.answer(206, content[start + 7 :], {"Content-Range": where})


def wrong_bytes(handler: Handler, content: bytes, start: int) -> None:
    """Send bytes of the right number, one of which is wrong."""
    handler.serve(content[:-1] + bytes([content[-1] ^ 1]), start)


def chunked(handler: Handler, content: bytes, start: int) -> None:
    """Send everything without saying how much it is."""
    handler.head(200, {"Transfer-Encoding": "chunked"})
    try:
        for at in range(0, len(content), 50_000):
            block = content[at : at + 50_000]
            handler.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")
    except OSError:
        handler.close_connection = True  # the client has had enough


def endless(handler: Handler, content: bytes, start: int) -> None:
    """Send bytes for ever."""
    handler.head(200, {"Connection": "close"})
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        pass  # the client has had enough


def held(until: threading.Event) -> Fault:
    """Send one half, and the other one when ``until`` is set."""

    def fault(handler: Handler, content: bytes, start: int) -> None:
        handler.head(200, {"Content-Length": str(len(content))})
        handler.wfile.write(content[: len(content) // 2])
        until.wait()
        handler.wfile.write(content[len(content) // 2 :])

    return fault


def slow(pieces: int, pause: float) -> Fault:
    """Send everything in ``pieces`` with a pause in seconds before each."""

    def fault(handler: Handler, content: bytes, start: int) -> None:
        rest = handler.head_of_rest(content, start)
        step = -(-len(rest) // pieces)
        try:
            for at in range(0, len(rest), step):
                time.sleep(pause)
                handler.wfile.write(rest[at : at + step])
        except OSError:
            pass  # the client was stopped

    return fault
