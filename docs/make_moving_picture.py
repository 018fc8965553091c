# SPDX-License-Identifier: Apache-2.0
"""Renew docs/live.webp: the page in use, with the shipped model.

Run it as ``./env.sh python docs/make_moving_picture.py``; it needs chromium. The camera is slow
(``--rate``), so a busy machine shows the same: each answered frame is recorded, and shown for 0.1 s.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from demo.client import NodeProcess
from demo.live import camera_parameters, wait_for_page
from docs.make_web_screenshots import HEAD, SHUTTLE, at
from tools.headless_browser import Browser

PICTURE = Path(__file__).parent / "live.webp"
SIZE = (760, 560)
#: The part of the window that is shown, above the lists: left, top, right, bottom.
PART = (0, 0, 760, 404)
#: The camera's view makes one round in as many frames. Milliseconds that each is shown.
FRAMES, SHOWN = 60, 100
#: Frames at which the user clicks, draws a box, and switches everything mode on.
CLICK, BOX, EVERYTHING = 6, 18, 32
#: The largest file, bytes. Seconds to wait for a frame: a guard against hanging.
LIMIT, PATIENCE = 3_000_000, 600.0
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


async def act(browser: Browser, number: int) -> None:
    """Do what the user does at this frame."""
    if number == CLICK:
        await browser.click(*await at(browser, *HEAD))
    elif number == BOX:
        await browser.drag(*[await at(browser, *corner) for corner in SHUTTLE])
    elif number == EVERYTHING:
        await browser.evaluate("everything()")


async def record(url: str, folder: Path) -> list[bytes]:
    """Return a screenshot of each frame."""
    frames: list[bytes] = []
    async with Browser(folder / "browser", SIZE) as browser:
        await browser.open(url)
        await browser.until("size", PATIENCE)
        await browser.evaluate(CURSOR)
        stamp: Any = await browser.evaluate("stamp")
        for number in range(FRAMES):
            await browser.until(f"stamp !== '{stamp}'", PATIENCE)
            stamp = await browser.evaluate("stamp")
            frames.append(await browser.screenshot())
            print(f"frame {number + 1} of {FRAMES}", end="\r", flush=True)
            await act(browser, number)
    return frames


def save(frames: list[bytes], path: Path) -> None:
    """Write an animation.

    Raises:
        SystemExit: it is too large.
    """
    images = [Image.open(io.BytesIO(data)).convert("RGB").crop(PART) for data in frames]
    options = {"duration": SHOWN, "loop": 0, "quality": 55, "method": 4}
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    size = path.stat().st_size
    print(f"{path}: {len(images)} frames, {len(images) * SHOWN / 1e3:.1f} s, {size / 1e6:.2f} MB")
    if size > LIMIT:
        raise SystemExit(f"{path} has {size} bytes; expected at most {LIMIT}")


def main() -> int:
    """Run camera, segmenter and page, and record the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=1.0, help="frames of the camera per second")
    options = parser.parse_args()
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    parameters = camera_parameters("example:astronaut") | {
        "camera:rate": options.rate,
        "segmenter:output_timeout_s": 0.0,
        "web:port": 0,
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        node = NodeProcess("compose", folder / "log", parameters, flags=("--web",))
        try:
            if not (url := wait_for_page(node)):
                print(node.tail(), file=sys.stderr)
                return 1
            save(asyncio.run(record(url, folder)), PICTURE)
        finally:
            node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
