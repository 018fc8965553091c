# SPDX-License-Identifier: Apache-2.0
"""Renew docs/web.png and docs/web_phone.png: the page as a person sees it, with the shipped model.

Run it as ``./env.sh python docs/make_web_screenshots.py``.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from demo.client import NodeProcess
from demo.live import camera_parameters, wait_for_page
from tools.headless_browser import Browser

DOCS = Path(__file__).parent
#: Prompts on the astronaut: pixels of the photograph.
HEAD, SHUTTLE = (225, 60), ((365, 0), (470, 285))
#: Where the page has drawn the image: left, top, CSS pixels a pixel of the image.
PLACE = (
    "size && (() => { const r = view.getBoundingClientRect(); return [r.left, r.top, r.width / size[0]]; })()"
)


async def at(browser: Browser, x: float, y: float) -> tuple[float, float]:
    """Return a pixel of the image in the window."""
    left, top, scale = await browser.until(PLACE)
    return left + x * scale, top + y * scale


async def prompt(browser: Browser) -> None:
    """Click the head, draw a box around the shuttle, and wait for a settled rate."""
    await browser.until("state.level === 'ok'")
    await browser.click(*await at(browser, *HEAD))
    await browser.until("state.objects.length === 1")
    await browser.drag(*[await at(browser, *corner) for corner in SHUTTLE])
    await browser.until("state.objects.length === 2")
    await asyncio.sleep(8)


async def everything(browser: Browser) -> None:
    """Switch everything mode on."""
    await browser.until("state.level === 'ok'")
    await browser.evaluate("everything()")
    await browser.until("state.mode === 'everything' && state.objects.length > 4")
    await asyncio.sleep(8)


def save(data: bytes, path: Path) -> None:
    """Write a screenshot with 256 colours: photographs are large as PNG."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


async def shoot(url: str, folder: Path) -> None:
    """Take both screenshots."""
    async with Browser(folder / "desk", (1080, 640)) as browser:
        await browser.open(url)
        await prompt(browser)
        save(await browser.screenshot(), DOCS / "web.png")
    async with Browser(folder / "phone", (390, 780), phone=True) as browser:
        await browser.open(url)
        await everything(browser)
        save(await browser.screenshot(), DOCS / "web_phone.png")


def main() -> int:
    """Run camera, segmenter and page, and take the screenshots."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made)
        parameters = camera_parameters("example:astronaut") | {"camera:motion": 0.0, "web:port": 0}
        node = NodeProcess("compose", folder / "log", parameters, flags=("--web",))
        try:
            if not (url := wait_for_page(node)):
                print(node.tail(), file=sys.stderr)
                return 1
            asyncio.run(shoot(url, folder))
        finally:
            node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
