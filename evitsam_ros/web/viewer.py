# SPDX-License-Identifier: Apache-2.0
"""One open page: it gets the newest frame, the newest state and texts, at the rate at which it takes them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from .commands import MAX_LENGTH, Command, CommandError, Shown, Watch, parse_command
from .pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from .frames import LiveFrame

log = logging.getLogger(__name__)

#: Seconds between two states.
STATE_PERIOD = 0.2
#: Seconds that sending one message may take.
SEND_LIMIT = 10.0
#: Seconds in which a frame has to be drawn.
SHOWN_LIMIT = 20.0
#: Seconds between two pings; a page that does not answer one is closed.
HEARTBEAT = 15.0
#: Texts that wait for a page; older ones are dropped.
MAX_TEXTS = 8
#: Messages of a page: as many at once, and as many a second.
BURST, RATE = 200.0, 100.0
#: Commands that cannot be used, after which a page is closed.
MAX_BAD = 20


class Viewer:
    """Serve one page over its websocket. All methods are called in the server's event loop.

    Args:
        number: of the page, since the start of the server.
        frame: returns the newest frame of a camera, or None.
        state: returns the newest state of a camera as JSON; empty: none yet.
        executor: encodes frames.

    Attributes:
        camera: camera that the page shows, or None.
    """

    def __init__(
        self,
        number: int,
        frame: Callable[[str], LiveFrame | None],
        state: Callable[[str], str],
        executor: Executor,
    ) -> None:
        self.number = number
        self.camera: str | None = None
        self._frame, self._state, self._executor = frame, state, executor
        self._socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT, timeout=SEND_LIMIT, max_msg_size=MAX_LENGTH, compress=False
        )
        self._news = asyncio.Event()
        self._texts: deque[str] = deque(maxlen=MAX_TEXTS)
        self._pace = Pace()
        #: Number and time of the frame that was sent and not drawn yet.
        self._under_way: tuple[int, float] | None = None
        self._last_frame = 0
        self._last_state, self._state_time = "", 0.0
        self._allowance, self._allowance_time = BURST, time.monotonic()

    def notify(self) -> None:
        """Wake the page's sending: there is a newer frame or state."""
        self._news.set()

    def show_text(self, text: str) -> None:
        """Show a text on the page."""
        self._texts.append(text)
        self._news.set()

    async def serve(
        self, request: web.Request, on_command: Callable[[Viewer, Command], None]
    ) -> web.WebSocketResponse:
        """Serve the page until it is closed; ``on_command`` is called with its commands."""
        await self._socket.prepare(request)
        sending = asyncio.create_task(self._send(request))
        try:
            await self._receive(on_command)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return self._socket

    async def close(self) -> None:
        """Send the page the end of the server."""
        await self._socket.close(code=1001, message=b"the node has ended")

    # Receiving -------------------------------------------------------------------------------------

    async def _receive(self, on_command: Callable[[Viewer, Command], None]) -> None:
        bad = 0
        async for message in self._socket:
            if message.type != WSMsgType.TEXT or not self._may_send_more():
                await self._socket.close(code=1008, message=b"text messages only, 100 a second")
                return
            try:
                command = parse_command(message.data)
            except CommandError as error:
                self.show_text(str(error))
                bad += 1
                if bad >= MAX_BAD:
                    await self._socket.close(code=1008, message=b"too many commands that cannot be used")
                    return
                continue
            if isinstance(command, Shown):
                self._on_shown(command.number)
                continue
            if isinstance(command, Watch):
                self._watch(command.camera)
            on_command(self, command)

    def _may_send_more(self) -> bool:
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._allowance_time) * RATE) - 1
        self._allowance_time = now
        return self._allowance >= 0

    def _watch(self, camera: str | None) -> None:
        self.camera, self._last_frame, self._last_state = camera, 0, ""
        self._news.set()

    def _on_shown(self, number: int) -> None:
        if self._under_way is not None and self._under_way[0] == number:
            self._under_way = None
            self._pace.shown(time.monotonic())
            self._news.set()

    # Sending ---------------------------------------------------------------------------------------

    async def _send(self, request: web.Request) -> None:
        """Send changes; a page that does not take it is cut off."""
        try:
            while not self._socket.closed:
                wait = await asyncio.wait_for(self._send_news(), SEND_LIMIT)
                await self._wait(wait)
                if self._under_way is not None and time.monotonic() - self._under_way[1] > SHOWN_LIMIT:
                    break
        except Exception as error:
            log.info("page %d is cut off: %s", self.number, error or type(error).__name__)
        if request.transport is not None:
            request.transport.abort()

    async def _wait(self, seconds: float) -> None:
        """Wait for news, max ``seconds``."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except asyncio.TimeoutError:
            return

    async def _send_news(self) -> float:
        """Send new texts, state and frames; return the seconds until the next check."""
        self._news.clear()
        while self._texts:
            await self._socket.send_str(json.dumps({"type": "text", "text": self._texts.popleft()}))
        if self.camera is None:
            return SHOWN_LIMIT
        now, state = time.monotonic(), self._state(self.camera)
        is_due = now - self._state_time >= STATE_PERIOD
        if is_due and state and state != self._last_state:
            self._last_state, self._state_time = state, now
            await self._socket.send_str(state)
        frame = self._frame(self.camera)
        if frame is not None and frame.number > self._last_frame and self._under_way is None:
            await self._send_frame(frame)
        return STATE_PERIOD if state != self._last_state else SHOWN_LIMIT

    async def _send_frame(self, frame: LiveFrame) -> None:
        self._last_frame = frame.number
        data = await frame.encoded(self._pace.level, self._executor)
        now = time.monotonic()
        self._under_way = frame.number, now
        self._pace.sent(now)
        await self._socket.send_bytes(data)
