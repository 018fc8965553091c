# SPDX-License-Identifier: Apache-2.0
"""Renew docs/live.webp: the page in use, recorded in real time with the shipped model.

Run it as ``./env.sh python docs/make_moving_picture.py``; it needs chromium.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from demo.client import NodeProcess
from demo.live import camera_parameters, wait_for_page
from docs.make_web_screenshots import HEAD, SHUTTLE, at
from tools.headless_browser import Browser

PICTURE = Path(__file__).parent / "live.webp"
SIZE = (800, 560)
#: Seconds between two frames of the recording, and after the last action.
INTERVAL, END = 0.1, 1.6
#: The largest file, bytes.
LIMIT = 3_000_000
#: Shows where the mouse is, which a screenshot does not have.
CURSOR = """
(() => {
  const dot = document.createElement('div');
  dot.style.cssText = 'position:fixed;z-index:9;width:18px;height:18px;margin:-9px;border-radius:50%;'
    + 'border:2px solid #fff;background:#0008;pointer-events:none;left:-50px';
  document.body.append(dot);
  for (const kind of ['pointermove', 'pointerdown'])
    addEventListener(kind, (event) => {
      dot.style.left = event.clientX + 'px';
      dot.style.top = event.clientY + 'px';
    }, true);
})()
"""


@dataclass
class Recording:
    """Screenshots with their times, seconds."""

    frames: list[tuple[float, bytes]] = field(default_factory=list)
    running: bool = True

    async def record(self, browser: Browser) -> None:
        """Take screenshots until ``running`` is false."""
        while self.running:
            started = time.monotonic()
            self.frames.append((started, await browser.screenshot()))
            await asyncio.sleep(max(0.0, INTERVAL - (time.monotonic() - started)))

    def save(self, path: Path) -> None:
        """Write an animation that takes as long as the recording did."""
        images = [Image.open(io.BytesIO(data)).convert("RGB") for _, data in self.frames]
        times = [when for when, _ in self.frames]
        durations = [round(1e3 * (b - a)) for a, b in zip(times, [*times[1:], times[-1] + END], strict=True)]
        images[0].save(
            path,
            save_all=True,
            append_images=images[1:],
            duration=durations,
            loop=0,
            quality=60,
            method=6,
        )
        size = path.stat().st_size
        print(f"{path}: {len(images)} frames, {times[-1] - times[0]:.1f} s, {size / 1e6:.2f} MB")
        if size > LIMIT:
            raise SystemExit(f"{path} has {size} bytes; expected at most {LIMIT}")


async def act(browser: Browser) -> None:
    """Click the head, draw a box around the shuttle, and switch everything mode on."""
    await asyncio.sleep(0.8)
    await browser.click(*await at(browser, *HEAD))
    await browser.until("state.objects.length === 1")
    await asyncio.sleep(0.8)
    await browser.drag(*[await at(browser, *corner) for corner in SHUTTLE])
    await browser.until("state.objects.length === 2")
    await asyncio.sleep(0.8)
    await browser.evaluate("everything()")
    await browser.until("state.mode === 'everything' && state.objects.length > 4")
    await asyncio.sleep(END)


async def record(url: str, folder: Path) -> None:
    """Record the page."""
    async with Browser(folder / "browser", SIZE) as browser:
        await browser.open(url)
        await browser.until("state.level === 'ok'")
        await browser.evaluate(CURSOR)
        recording = Recording()
        task = asyncio.create_task(recording.record(browser))
        await act(browser)
        recording.running = False
        await task
        recording.save(PICTURE)


def main() -> int:
    """Run camera, segmenter and page, and record the page."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        node = NodeProcess(
            "compose",
            folder / "log",
            camera_parameters("example:astronaut") | {"web:port": 0},
            flags=("--web",),
        )
        try:
            if not (url := wait_for_page(node)):
                print(node.tail(), file=sys.stderr)
                return 1
            asyncio.run(record(url, folder))
        finally:
            node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
