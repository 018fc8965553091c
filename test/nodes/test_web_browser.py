# SPDX-License-Identifier: Apache-2.0
"""A person at a real browser, the page, and the segmenter with the shipped model, over real DDS."""

import asyncio
import threading
import time

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

from evitsam_ros.bundle import DEFAULT_MODEL
from evitsam_ros.nodes.messages import image_message
from tools.headless_browser import CHROMIUM, SHIFT, Browser

from .harness import pixels
from .prompting import vision_msgs

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt install chromium")

#: Outline of the astronaut's head, drawn by hand on the photograph: x and y in pixels.
HEAD = (
    *((190, 35), (212, 20), (233, 16), (255, 22), (276, 32), (290, 45), (297, 62), (301, 85), (296, 105)),
    *((285, 122), (276, 134), (268, 137), (262, 150), (255, 165), (253, 185), (235, 190), (210, 186)),
    *((190, 180), (187, 160), (182, 132), (173, 124), (158, 108), (154, 90), (154, 68), (160, 55), (172, 44)),
)
#: The astronaut, upper left and lower right corner.
ASTRONAUT = (28, 4), (370, 508)
#: Where a page has drawn the image: left, top, CSS pixels a pixel of the image.
PLACE = (
    "size && (() => { const r = view.getBoundingClientRect(); return [r.left, r.top, r.width / size[0]]; })()"
)

#: Keep the prompts that the page sends from now on, in ``sent``.
RECORD = (
    "window.sent = []; window.real = window.real || send;"
    "send = c => { if (c.type === 'point' || c.type === 'box') sent.push(c); real(c); }; 0"
)


class Person:
    """Acts in pixels of the image."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, scale = await self.browser.until(PLACE)
        return left + x * scale, top + y * scale

    async def objects(self) -> list[dict]:
        return await self.browser.evaluate("state.objects")

    async def wait_for(self, number: int) -> list[dict]:
        await self.browser.until(f"state.objects.length === {number}")
        return await self.objects()


@pytest.fixture(scope="module")
def robot(robots):
    from ..conftest import ROOT

    made = robots(bundle=ROOT / "engines" / DEFAULT_MODEL)
    made.wait_state("active")
    return made


@pytest.fixture
def labels(robot, photograph):
    """The label maps of a camera that shows the astronaut, five times a second, while the test runs."""
    heard = robot.peer.listen(Image, robot.topic("label_map"))
    # From now on: those of the test before do not count.
    robot.peer.listen(vision_msgs.Detection2DArray, robot.topic("prompts")).clear()
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            message = image_message(Header(frame_id="camera_7"), photograph, "rgb8")
            message.header.stamp = robot.peer.node.get_clock().now().to_msg()
            robot.peer.publish("/image", message)
            robot.peer.until(lambda: False, 0.2)

    thread = threading.Thread(target=run)
    thread.start()
    yield heard
    ended.set()
    thread.join()


def newest_prompts(robot) -> list[tuple[str, float, float, float]]:
    """Return class, centre and width of each detection of the newest array of prompts."""
    arrays = robot.peer.listen(vision_msgs.Detection2DArray, robot.topic("prompts"))
    return [
        (
            each.results[0].hypothesis.class_id,
            each.bbox.center.position.x,
            each.bbox.center.position.y,
            each.bbox.size_x,
        )
        for each in (arrays[-1].detections if arrays else ())
    ]


async def arrived(robot, number: int) -> list[tuple[str, float, float, float]]:
    """Wait for an array of so many prompts."""
    deadline = time.monotonic() + 100
    while len(newest_prompts(robot)) != number:
        assert time.monotonic() < deadline, newest_prompts(robot)
        await asyncio.sleep(0.05)
    return newest_prompts(robot)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def test_a_click_on_the_astronaut_becomes_her_mask(web, robot, labels, tmp_path):
    head = cv2.fillPoly(np.zeros((512, 512), np.uint8), [np.array(HEAD)], 1).astype(bool)

    async def act() -> None:
        async with Browser(tmp_path / "profile") as browser:
            person = Person(browser)
            await browser.open(web.url)
            await browser.click(*await person.at(230, 75))
            (clicked,) = await person.wait_for(1)
            await asyncio.to_thread(has_mask, clicked["id"])
            await browser.drag(await person.at(*ASTRONAUT[0]), await person.at(*ASTRONAUT[1]))
            boxed = (await person.wait_for(2))[1]
            assert boxed["box"][2] - boxed["box"][0] > 250 < boxed["box"][3] - boxed["box"][1]
            assert await browser.evaluate("chosen") == boxed["id"]
            # Background points belong to the chosen object, the astronaut.
            await browser.evaluate(RECORD)
            await browser.click(*await person.at(225, 60), modifiers=SHIFT)
            await browser.click(*await person.at(400, 400), button="right")
            await browser.until("sent.length === 2")
            for command, place in zip(await browser.evaluate("sent"), ((225, 60), (400, 400)), strict=True):
                assert (command["target"], command["is_foreground"]) == (boxed["name"], False)
                assert (command["x"], command["y"]) == pytest.approx(place, abs=1)
            boxed = next(each for each in await person.wait_for(2) if each["name"] == boxed["name"])
            # By keyboard: everything on and off, and the chosen object is removed.
            await browser.key("e")
            await browser.until("state.mode === 'everything' && state.objects.length > 2")
            await browser.until(
                "document.querySelector('#everything').getAttribute('aria-pressed') === 'true'"
            )
            await browser.key("e")
            await person.wait_for(2)
            await browser.evaluate(f"choose({boxed['id']})")
            await browser.key("Delete")
            assert [each["id"] for each in await person.wait_for(1)] == [clicked["id"]]
            await browser.evaluate("document.querySelector('#clear').click()")
            await person.wait_for(0)
            assert not browser.errors
            assert {url.split("/")[2] for url in browser.requested} == {web.url.split("/")[2]}

    def has_mask(identity: int) -> None:
        """The label map, as another node has it, shows the head under the id that the page shows."""
        deadline = time.monotonic() + 100
        while not any((pixels(each, np.uint16) == identity).any() for each in labels[-3:]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        mask = pixels(labels[-1], np.uint16) == identity
        assert iou(mask, head) > 0.5, iou(mask, head)  # the whole person: 0.2

    asyncio.run(act())


def test_a_phone_and_the_keyboard_prompt_as_well(web, robot, labels, tmp_path):
    async def act() -> None:
        async with Browser(tmp_path / "profile", (390, 844), phone=True) as browser:
            person = Person(browser)
            await browser.open(web.url)
            place = await person.at(225, 60)
            assert 0 < place[0] < 390 and await browser.evaluate("document.body.scrollWidth <= innerWidth")
            await browser.touch(*place)
            ((name, x, y, width),) = await arrived(robot, 1)
            assert name.startswith("point") and (x, y, width) == (
                pytest.approx(225, abs=2),
                pytest.approx(60, abs=2),
                0,
            )
            await person.wait_for(1)
            await browser.touch(*await person.at(100, 300), seconds=0.8)
            assert (await arrived(robot, 2))[1][0] == "background"
            await browser.evaluate("view.focus()")
            await browser.evaluate(RECORD)
            for key in ("x", "ArrowRight", "ArrowDown", "x"):
                await browser.key(key)
            await browser.until("sent.length === 1")
            (box,), step = await browser.evaluate("sent"), 0.02 * 512
            assert box["type"] == "box" and (box["x0"], box["x1"]) == pytest.approx((256, 256 + step))
            await browser.key("Enter")
            assert (await arrived(robot, 3))[2][1:] == (
                pytest.approx(256 + step),
                pytest.approx(256 + step),
                0,
            )
            await browser.key("c")
            await person.wait_for(0)
            assert not browser.errors

    asyncio.run(act())
