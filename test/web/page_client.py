# SPDX-License-Identifier: Apache-2.0
"""A page without a browser: it opens the websocket as the page does, and keeps what comes."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

import aiohttp


class PageClient:
    """One page, in a thread of its own. Use as ``with``.

    Args:
        url: of the page.
        camera: to watch from the start; None: nothing.
        delay: seconds that drawing a frame takes.
        headers: of the request, in place of the page's own.
    """

    def __init__(
        self,
        url: str,
        camera: str | None = "",
        delay: float = 0.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._url, self._camera, self._delay = url, camera, delay
        self._headers = {"Origin": url.rstrip("/")} if headers is None else headers
        self.states: list[dict[str, Any]] = []
        self.texts: list[str] = []
        #: Number, stamp, width, height and JPEG of each frame.
        self.frames: list[tuple[int, int, int, int, bytes]] = []
        #: HTTP status of a request that was refused; code of a websocket that was closed.
        self.status: int | None = None
        self.close_code: int | None = None
        self._opened = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)

    def __enter__(self) -> PageClient:
        self._thread.start()
        assert self._opened.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            with suppress(ConnectionError):
                self._start(self._socket.close)
        self._thread.join(60)

    def _main(self) -> None:
        self._loop.run_until_complete(self._run())
        if left := asyncio.all_tasks(self._loop):
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.wait(left))
        self._loop.close()

    async def _run(self) -> None:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self._url}ws", headers=self._headers) as self._socket,
            ):
                await self._socket.send_json({"type": "watch", "camera": self._camera})
                self._opened.set()
                async for message in self._socket:
                    await self._take(message)
        except aiohttp.WSServerHandshakeError as error:
            self.status = error.status
        except ConnectionError:  # the server has closed it while something was sent
            await self._socket.receive()
        finally:
            if self._socket is not None:
                self.close_code = self._socket.close_code
            self._opened.set()

    async def _take(self, message: aiohttp.WSMessage) -> None:
        if message.type == aiohttp.WSMsgType.BINARY:
            number, stamp, width, height = struct.unpack(">QQII", message.data[:24])
            self.frames.append((number, stamp, width, height, message.data[24:]))
            await asyncio.sleep(self._delay)
            await self._socket.send_json({"type": "shown", "number": number})
            return
        message_json = json.loads(message.data)
        if message_json["type"] == "text":
            self.texts.append(message_json["text"])
        else:
            self.states.append(message_json)

    @property
    def state(self) -> dict[str, Any]:
        """The newest state; empty before the first."""
        return self.states[-1] if self.states else {}

    def send(self, **command: Any) -> None:
        """Send a command."""
        self.send_raw(json.dumps(command))

    def send_raw(self, data: str | bytes) -> None:
        """Send anything."""
        send = self._socket.send_str if isinstance(data, str) else self._socket.send_bytes
        sent = self._start(lambda: send(data))
        while not wait([sent], timeout=0.05).done:
            if not self._thread.is_alive():
                raise ConnectionError("the websocket is closed")
        sent.result()

    def _start(self, make: Callable[[], Any]) -> Future:
        """Run a coroutine in the page's thread; it is made there, so that none is left over."""
        result: Future = Future()

        def done(task: asyncio.Task) -> None:
            error = ConnectionError("cancelled") if task.cancelled() else task.exception()
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(None)

        try:
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(make()).add_done_callback(done))
        except RuntimeError as error:  # the loop is closed
            raise ConnectionError("the websocket is closed") from error
        return result

    def until(self, done: Callable[[], Any], seconds: float = 60.0) -> bool:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)
        return bool(done())
