# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window, driven over the DevTools protocol, for tests and screenshots."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--disable-dev-shm-usage"),
)
#: Seconds that the browser may take to start, and for one command: a guard against hanging.
LIMIT = 120.0
BUTTONS = {"left": 1, "right": 2}
#: Modifiers of mouse events, as bits.
SHIFT, CTRL = 8, 2


class BrowserError(RuntimeError):
    """The browser did not start, or a script of the page has failed."""


class Browser:
    """One tab. Use as ``async with``.

    Args:
        folder: empty or new, for the browser's profile.
        size: of the window, CSS pixels.
        phone: a touch screen and a small window's metrics.
    """

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 800), *, phone: bool = False) -> None:
        self._folder, self._size, self._phone = folder, size, phone
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        #: Errors of the page: exceptions, and messages of the console's levels error and warning.
        self.errors: list[str] = []
        #: Addresses that the page has asked for.
        self.requested: list[str] = []

    async def __aenter__(self) -> Browser:
        """Start the browser."""
        if CHROMIUM is None:
            raise BrowserError("no browser is installed: apt install chromium")
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={self._folder}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._session = aiohttp.ClientSession()
        try:
            await self._attach()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _attach(self) -> None:
        port_file, deadline = self._folder / "DevToolsActivePort", time.monotonic() + LIMIT
        while not (port_file.is_file() and port_file.read_text().strip()):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise BrowserError("the browser has not started")
            await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            (tab, *_) = [each for each in await answer.json() if each["type"] == "page"]
        self._socket = await self._session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        width, height = self._size
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=self._phone,
        )
        if self._phone:
            await self.call("Emulation.setTouchEmulationEnabled", enabled=True)

    async def __aexit__(self, *_: object) -> None:
        """End the browser."""
        if reader := getattr(self, "_reader", None):
            reader.cancel()
        await self._session.close()
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _read(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event)
            elif event["method"] == "Runtime.exceptionThrown":
                self.errors.append(str(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] != "info":
                self.errors.append(event["params"]["entry"]["text"])
            elif event["method"] == "Network.requestWillBeSent":
                self.requested.append(event["params"]["request"]["url"])
            elif event["method"] == "Network.webSocketCreated":
                self.requested.append(event["params"]["url"])

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], LIMIT)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def open(self, url: str) -> None:
        """Go to an address, and wait until it is loaded.

        Raises:
            BrowserError: There is no answer.
        """
        result = await self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise BrowserError(f"{url}: {result['errorText']}")
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, replMode=True
        )
        if "exceptionDetails" in result:
            raise BrowserError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    async def until(self, script: str, seconds: float = LIMIT) -> Any:
        """Wait until an expression is true; return its value.

        Raises:
            BrowserError: It does not become true in time; the message has the text of the page.
        """
        deadline = time.monotonic() + seconds
        while not (value := await self.evaluate(script)):
            if time.monotonic() > deadline:
                text = await self.evaluate("document.body && document.body.innerText")
                raise BrowserError(
                    f"{script} stays {value!r} for {seconds:.0f} s; errors: {self.errors}\n{text}"
                )
            await asyncio.sleep(0.1)
        return value

    async def click(self, x: float, y: float, button: str = "left", modifiers: int = 0) -> None:
        """Click at a place of the window, CSS pixels."""
        await self.drag((x, y), (x, y), button, modifiers)

    async def drag(
        self, start: tuple[float, float], end: tuple[float, float], button: str = "left", modifiers: int = 0
    ) -> None:
        """Press a button at one place, move, and release it at another."""
        steps = [("mousePressed", start)]
        if start != end:
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            steps += [("mouseMoved", middle), ("mouseMoved", end)]
        for kind, (x, y) in [*steps, ("mouseReleased", end)]:
            await self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                button=button,
                buttons=BUTTONS[button],
                clickCount=1,
                modifiers=modifiers,
            )

    async def touch(self, x: float, y: float, seconds: float = 0.0) -> None:
        """Touch a place of the window for so long."""
        await self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        await asyncio.sleep(seconds)
        await self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def key(self, key: str) -> None:
        """Press and release a key, by its name in JavaScript."""
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def screenshot(self) -> bytes:
        """Return the window as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])
