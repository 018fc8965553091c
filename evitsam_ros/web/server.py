# SPDX-License-Identifier: Apache-2.0
"""The page's web server: one HTML file and one websocket, in a thread with its own event loop.

No path of the file system is served. A viewer that is slow, or that breaks the rules, delays no other.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.web_runner import BaseRunner

from .access import Access, AccessError, response_headers
from .commands import Command, Watch
from .frames import LiveFrame
from .viewer import Viewer

if TYPE_CHECKING:
    import numpy as np

PAGE = Path(__file__).parent / "page.html"
#: Connections beside the viewers': those that load the page, or that have sent no request yet.
MORE_CONNECTIONS = 32
#: Seconds in which a connection has to send its first request.
REQUEST_LIMIT = 10.0
#: Seconds that it may take until a connection that was accepted is made.
CONNECTING = 1.0
#: Seconds that pages have to close when the server ends.
CLOSING = 1.0
#: Threads that encode frames.
ENCODERS = 2
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serve the page. Methods may be called from any thread.

    Args:
        access: address and token.
        max_viewers: pages that may be open at a time.
        on_command: called in the server's thread with a viewer's number and its command.
        on_watched: called in the server's thread with the viewed cameras, when they change.
    """

    def __init__(
        self,
        access: Access,
        max_viewers: int,
        on_command: Callable[[int, Command], None],
        on_watched: Callable[[frozenset[str]], None],
    ) -> None:
        self._access, self._max_viewers = access, max_viewers
        self._on_command, self._on_watched = on_command, on_watched
        self._html = PAGE.read_text(encoding="utf-8")
        self._headers = response_headers(self._html)
        self._viewers: dict[int, Viewer] = {}
        self._numbers, self._frame_numbers = count(1), count(1)
        #: Connections that have sent no request yet, and when each is closed.
        self._silent: dict[object, asyncio.TimerHandle] = {}
        self._frames: dict[str, LiveFrame] = {}
        self._states: dict[str, str] = {}
        self._watched: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._started: threading.Event = threading.Event()
        self._error: OSError | None = None
        self._port = access.port
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Return the address of the page, without a token."""
        host = self._access.host
        host = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/"

    def start(self) -> None:
        """Start to serve.

        Raises:
            AccessError: The address cannot be used.
        """
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise AccessError(
                f"the page cannot be served at {self.url}: {self._error.strerror or self._error}; "
                "expected a free port (parameters host and port)"
            )

    def stop(self) -> None:
        """Close all pages, and end the thread."""
        if self._thread.is_alive():
            self._call(lambda: self._ended.set() if self._ended is not None else None)
            self._thread.join()

    def show_frame(self, camera: str, stamp: int, image: np.ndarray) -> None:
        """Show a camera's newest frame.

        Args:
            camera: its name.
            stamp: of the image, nanoseconds.
            image: ``(H, W, 3)`` uint8 RGB; stored, and not to be written to.
        """
        frame = LiveFrame(next(self._frame_numbers), stamp, image)
        self._call(lambda: self._renew(self._frames, camera, frame))

    def show_state(self, camera: str, state: str) -> None:
        """Show a camera's newest state, JSON as the page reads it."""
        self._call(lambda: self._renew(self._states, camera, state))

    def show_text(self, text: str, viewer: int | None = None) -> None:
        """Show a text on one page, or on all."""

        def show() -> None:
            for number, each in self._viewers.items():
                if viewer in (None, number):
                    each.show_text(text)

        self._call(show)

    def _call(self, function: Callable[[], None]) -> None:
        """Call a function in the event loop, unless that has ended."""
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed
            return

    # Event loop ------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        application = web.Application(middlewares=[self._check])
        application.router.add_get("/", self._page)
        application.router.add_get("/ws", self._websocket)
        # Older releases (Ubuntu 22.04) would pass an option that they do not know on to each connection.
        known = inspect.signature(BaseRunner.__init__).parameters
        limit: dict[str, Any] = {"shutdown_timeout": CLOSING} if "shutdown_timeout" in known else {}
        runner = web.AppRunner(application, access_log=None, **limit)
        await runner.setup()
        self._executor = ThreadPoolExecutor(ENCODERS, "web_jpeg")
        try:
            server = await loop.create_server(
                lambda: self._connection(runner), self._access.host, self._access.port
            )
            self._port = server.sockets[0].getsockname()[1]
            self._loop, self._ended = loop, asyncio.Event()
            self._started.set()
            await self._ended.wait()
            server.close()
            closing = [asyncio.create_task(viewer.close()) for viewer in self._viewers.values()]
            if closing:
                await asyncio.wait(closing, timeout=CLOSING)
        finally:
            await runner.cleanup()
            self._executor.shutdown(wait=False)

    def _connection(self, runner: web.AppRunner) -> asyncio.Protocol:
        """Return the protocol of a new connection; too many, and silent ones, are closed."""
        server, loop = runner.server, asyncio.get_running_loop()
        if server is None or self._count(server) >= self._max_viewers + MORE_CONNECTIONS:
            return _Refused()
        handler = server()

        def close_silent() -> None:
            del self._silent[handler]
            if handler.transport is not None:
                handler.transport.abort()

        self._silent[handler] = loop.call_later(REQUEST_LIMIT, close_silent)
        return handler

    def _count(self, server: web.Server) -> int:
        """Return the number of connections, with those that are just being made."""
        soon = asyncio.get_running_loop().time() + REQUEST_LIMIT - CONNECTING
        new = {handler for handler, timer in self._silent.items() if timer.when() > soon}
        return len(new.union(server.connections))

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only requests that are allowed, each with headers that restrict the page to its own
        resources.
        """
        if (timer := self._silent.pop(request.protocol, None)) is not None:
            timer.cancel()
        if not self._access.accepts_host(request.headers.get("Host", "")):
            return self._refused(403, "This page is not served under that name. Use the computer's address.")
        given = request.query.get("token") or request.cookies.get(self._cookie, "")
        if not self._access.accepts_token(given):
            return self._refused(
                401, "This page needs its token: open its address with ?token=TOKEN, as the node was given."
            )
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._refused(error.status, error.reason)

    def _refused(self, status: int, text: str) -> web.Response:
        return self._one(web.Response(status=status, text=text, headers=self._headers))

    @staticmethod
    def _one(response: web.Response) -> web.Response:
        """Close the connection after the response: an idle one would take the place of another."""
        response.force_close()
        return response

    @property
    def _cookie(self) -> str:
        return f"evitsam_{self._port}"

    async def _page(self, request: web.Request) -> web.Response:
        response = self._one(web.Response(text=self._html, content_type="text/html", headers=self._headers))
        if token := request.query.get("token"):
            response.set_cookie(self._cookie, token, httponly=True, samesite="Strict")
        return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if not self._access.accepts_origin(
            request.headers.get("Origin", ""), request.headers.get("Host", "")
        ):
            return self._refused(403, "Only the page itself may open its websocket.")
        if len(self._viewers) >= self._max_viewers:
            return self._refused(503, f"{self._max_viewers} pages are open already (parameter max_viewers).")
        viewer = Viewer(next(self._numbers), self._frames.get, self._state_of, self._executor)
        self._viewers[viewer.number] = viewer
        try:
            return await viewer.serve(request, self._on_viewers_command)
        finally:
            del self._viewers[viewer.number]
            self._look_who_watches()

    def _on_viewers_command(self, viewer: Viewer, command: Command) -> None:
        if isinstance(command, Watch):
            self._look_who_watches()
        else:
            self._on_command(viewer.number, command)

    def _look_who_watches(self) -> None:
        watched = frozenset(v.camera for v in self._viewers.values() if v.camera is not None)
        if watched != self._watched:
            self._watched = watched
            for kept in (self._frames, self._states):
                for camera in kept.keys() - watched:
                    del kept[camera]
            self._on_watched(watched)

    def _renew(self, kept: dict, camera: str, new: object) -> None:
        """Store the newest frame or state of a viewed camera, and wake its viewers."""
        if camera in self._watched:
            kept[camera] = new
            for viewer in self._viewers.values():
                if viewer.camera == camera:
                    viewer.notify()

    def _state_of(self, camera: str) -> str:
        return self._states.get(camera, "")


class _Refused(asyncio.Protocol):
    """Close a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
