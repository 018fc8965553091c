# SPDX-License-Identifier: Apache-2.0
"""A server of S3's protocol on loopback, and a proxy before it that cuts connections."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CuttingProxy:
    """Passes bytes on, and closes a connection after so many bytes of the answers, as often as is planned.

    Attributes:
        port: where it listens.
        cuts: bytes after which the next connections are closed, one entry each.
        made: number of connections that were closed so.
    """

    def __init__(self, target: int) -> None:
        self._target, self.cuts, self.made = target, [], 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with closing(client), closing(socket.create_connection(("127.0.0.1", self._target))) as server:
            threading.Thread(target=_pass, args=(client, server, lambda data: data), daemon=True).start()
            _pass(server, client, self._cut())

    def _cut(self) -> Callable[[bytes], bytes]:
        """Return what lets bytes of an answer with a body of some size through up to a planned number."""
        passed = 0

        def through(data: bytes) -> bytes:
            nonlocal passed
            passed += len(data)
            if self.cuts and passed > self.cuts[0]:
                self.cuts.pop(0)
                self.made += 1
                raise OSError("cut")
            return data

        return through


def _pass(source: socket.socket, target: socket.socket, through: Callable[[bytes], bytes]) -> None:
    try:
        while data := source.recv(4096):
            target.sendall(through(data))
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
