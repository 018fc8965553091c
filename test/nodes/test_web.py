# SPDX-License-Identifier: Apache-2.0
"""The node ``web`` and a segmenter with known answers, over real DDS: prompts of a page become masks."""

import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

pytest.importorskip("aiohttp", reason="aiohttp is not installed")

from evitsam_ros.nodes.web import PARAMETERS

from ..conftest import ROOT
from ..web.page_client import PageClient
from .harness import next_domain, pixels, set_parameter
from .prompting import detection, prompt
from .usage import entities
from .web_process import WebProcess

SIZE = (96, 128)


@pytest.fixture(scope="module")
def robot(robots):
    made = robots(enable_tracking=False)
    made.wait_state("active")
    return made


@pytest.fixture
def page(robot, web, clean):
    with PageClient(web.url) as opened:
        until(robot, lambda: opened.frames and opened.state.get("mode") == "prompt", opened, web)
        until(robot, lambda: not objects(opened), opened, web)
        opened.texts.clear()
        yield opened


def until(robot, done, *details) -> None:
    """Send images until something is true."""
    deadline = time.monotonic() + 150
    while not done():
        assert time.monotonic() < deadline, [robot.diagnostics, *(vars(each) for each in details)]
        robot.send_image()
        robot.peer.until(lambda: False, 0.05)


def objects(page) -> dict[str, dict]:
    return {each["name"]: each for each in page.state.get("objects", ())}


def add_point(page, x, y, is_foreground=True, target="") -> None:
    page.send(
        type="point",
        camera="",
        x=x,
        y=y,
        is_foreground=is_foreground,
        target=target,
        stamp=str(page.frames[-1][1]),
    )


def mask(robot, identity: int) -> np.ndarray:
    """The pixels of an object on an image that is sent now."""
    return pixels(robot.answer(Image, "label_map"), np.uint16) == identity


def test_the_overlay_is_shown_as_published(robot, page):
    published = robot.peer.listen(Image, robot.topic("overlay"))
    add_point(page, 30, 40)
    until(robot, lambda: objects(page), page)
    del page.frames[:]
    until(
        robot,
        lambda: page.frames and any(m.header.stamp.sec == page.frames[-1][1] // 10**9 for m in published),
    )
    number, stamp, width, height, jpeg = page.frames[-1]
    (sent,) = [m for m in published if m.header.stamp.sec == stamp // 10**9][:1]
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert (height, width) == shown.shape[:2] == SIZE and number > 0
    assert np.abs(shown.astype(int) - pixels(sent)).mean() < 12


def test_points_boxes_and_background_points_become_masks(robot, page):
    add_point(page, 30, 40)
    until(robot, lambda: objects(page), page)
    (name,) = objects(page)
    disc = mask(robot, objects(page)[name]["id"])
    assert disc[40, 30] and disc[40, 40] and not disc[40, 60]
    add_point(page, 42, 40, False, name)
    until(robot, lambda: not mask(robot, objects(page)[name]["id"])[40, 40], page)
    page.send(type="box", camera="", x0=110, y0=80, x1=70, y1=50)
    until(robot, lambda: len(objects(page)) == 2, page)
    assert all(each["is_own"] for each in objects(page).values())
    (box,) = set(objects(page)) - {name}
    rectangle = mask(robot, objects(page)[box]["id"])
    truth = np.zeros(SIZE, bool)
    truth[50:80, 70:110] = True
    assert (rectangle & truth).sum() / (rectangle | truth).sum() > 0.85
    assert mask(robot, objects(page)[name]["id"])[40, 30]
    shown = objects(page)[box]
    assert shown["box"] == pytest.approx([70, 50, 110, 80], abs=3) and shown["score"] == pytest.approx(0.9)
    page.send(type="remove", camera="", identity=objects(page)[name]["id"])
    until(robot, lambda: list(objects(page)) == [box], page)
    add_point(page, 20, 20)  # the removed one does not come back
    until(robot, lambda: len(objects(page)) == 2 and name not in objects(page), page)
    page.send(type="clear", camera="")
    until(robot, lambda: not objects(page), page)
    assert not page.texts


def test_everything_mode_and_clicks_in_it(robot, page):
    clicks = robot.peer.listen(PointStamped, robot.topic("point"))
    page.send(type="mode", mode="everything")
    until(robot, lambda: page.state["mode"] == "everything" and len(objects(page)) >= 1, page)
    page.send(type="box", camera="", x0=10, y0=10, x1=40, y1=40)
    until(robot, lambda: page.texts, page)
    assert "everything mode; switch to prompts" in page.texts[0]
    stamp = page.frames[-1][1]
    add_point(page, 30, 40)
    until(robot, lambda: clicks, page)
    assert (clicks[0].point.x, clicks[0].point.y) == (30, 40)
    assert clicks[0].header.stamp.sec >= stamp // 10**9 and clicks[0].header.frame_id == "camera_7"
    page.send(type="mode", mode="prompt")
    until(robot, lambda: page.state["mode"] == "prompt", page)


def detect(robot) -> None:
    """Publish the boxes of a detector, which replace those of its array before."""
    prompt(robot, detection(90, 60, 30, 30, "7", "cup"))


def test_a_box_stands_beside_the_boxes_of_a_detector(robot, page):
    detect(robot)
    until(robot, lambda: "cup" in objects(page), page)
    page.send(type="box", camera="", x0=10, y0=10, x1=40, y1=40)
    until(robot, lambda: len(objects(page)) == 2, page)
    (box,) = set(objects(page)) - {"cup"}
    for _ in range(3):
        detect(robot)
        robot.answer(Image, "label_map")
    until(robot, lambda: objects(page).keys() == {"cup", box}, page)
    assert objects(page)[box]["is_own"] and not objects(page)["cup"]["is_own"]
    found = mask(robot, objects(page)[box]["id"])
    truth = np.zeros(SIZE, bool)
    truth[10:40, 10:40] = True
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    # A background point changes it, and a click adds a third object.
    add_point(page, 25, 25, False, box)
    until(robot, lambda: box in objects(page) and not mask(robot, objects(page)[box]["id"])[25, 25], page)
    detect(robot)
    add_point(page, 60, 80)
    until(robot, lambda: len(objects(page)) == 3, page)
    page.send(type="remove", camera="", identity=objects(page)[box]["id"])
    until(robot, lambda: box not in objects(page) and len(objects(page)) == 2, page)
    assert not page.texts


def test_a_segmenter_without_services_gets_boxes_in_the_array(robots, tmp_path):
    robot = robots(module="test.nodes.without_interfaces", enable_tracking=False)
    robot.wait_state("active")
    process = WebProcess(robot.domain, tmp_path)
    try:
        with PageClient(process.url) as page:
            until(robot, lambda: page.frames and page.state.get("mode") == "prompt", page)
            page.send(type="box", camera="", x0=10, y0=10, x1=40, y1=40)
            until(robot, lambda: objects(page).keys() == {"box 1"}, page)
            detect(robot)
            until(robot, lambda: objects(page).keys() == {"cup"}, page)
            for _ in range(20):  # the page's node may hear the detector later than the segmenter does
                page.send(type="box", camera="", x0=10, y0=10, x1=40, y1=40)
                if page.until(lambda: page.texts, 5.0):
                    break
                detect(robot)
            assert "a detector publishes on /segmenter/prompts" in page.texts[0]
    finally:
        assert process.stop() in (0, 2), process.output


def test_beside_a_detector_more_points_of_a_click_are_rejected(robot, page):
    add_point(page, 30, 40)
    until(robot, lambda: objects(page), page)
    (name,) = objects(page)
    detect(robot)
    until(robot, lambda: "cup" in objects(page), page)
    add_point(page, 40, 40, False, name)
    until(robot, lambda: page.texts, page)
    assert "a detector publishes on /segmenter/prompts" in page.texts[0]


def test_a_box_that_the_segmenter_rejects_is_told_and_forgotten(robot, page):
    """A name that the segmenter has already, as of a page that was closed; and one that it would not take."""
    from evitsam_interfaces.msg import ObjectPrompt
    from evitsam_interfaces.srv import AddObjects

    page.send(type="box", camera="", x0=10, y0=10, x1=40, y1=40)
    until(robot, lambda: objects(page), page)
    number = int(next(iter(objects(page))).split()[1])
    name = f"box {number + 1}"
    item = ObjectPrompt(name=f"page/{name}", class_name="taken", box=[50.0, 50.0, 70.0, 70.0])
    robot.peer.call(AddObjects, robot.topic("add_objects"), AddObjects.Request(objects=[item]))
    page.send(type="box", camera="", x0=10, y0=50, x1=40, y1=90)
    until(robot, lambda: page.texts, page)
    assert f"has the name 'page/{name}' already" in page.texts[0]
    page.send(type="box", camera="", x0=10, y0=50, x1=40, y1=90)
    until(robot, lambda: f"box {number + 2}" in objects(page), page)
    assert not objects(page)["taken"]["is_own"] and name not in objects(page)


def test_objects_cleared_elsewhere_are_not_published_again(robot, page):
    add_point(page, 30, 40)
    until(robot, lambda: objects(page), page)
    (old,) = objects(page)
    robot.peer.call(Trigger, robot.topic("clear_prompts"), Trigger.Request())
    until(robot, lambda: not objects(page), page)
    add_point(page, 90, 60)
    until(robot, lambda: objects(page), page)
    assert old not in objects(page)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            {
                "type": "point",
                "camera": "",
                "x": 500,
                "y": 40,
                "is_foreground": True,
                "target": "",
                "stamp": "0",
            },
            "outside",
        ),
        ({"type": "box", "camera": "", "x0": 5, "y0": 5, "x1": 5, "y1": 50}, "1 x 1 or more"),
        ({"type": "clear", "camera": "../etc"}, "camera '../etc' is not shown"),
        ({"type": "remove", "camera": "", "identity": 999}, "no prompted object has id 999"),
    ],
)
def test_invalid_commands_are_reported(robot, page, command, text):
    page.send(**command)
    until(
        robot, lambda: text in "".join([*page.texts, page.state["last_error"], page.state["message"]]), page
    )
    assert page.close_code is None


def test_state_contains_model_rates_and_stages(robot, page, known_bundle):
    until(robot, lambda: page.state["stages"] and page.state["age"], page)
    assert page.state["model"] == str(known_bundle) and page.state["backend"] == robot.diagnostics["backend"]
    assert {"convert", "total"} <= page.state["stages"].keys()
    assert float(page.state["rate_in"]) > 0 and page.state["level"] in ("ok", "warn")
    assert set_parameter(robot, "mode", "everything").successful
    until(robot, lambda: page.state["mode"] == "everything", page)


def test_without_viewers_there_are_no_subscriptions_and_no_load(robot, web):
    def subscribed() -> list[str]:
        found = entities(robot.peer.node, "/web")["subscriptions"]
        return [name for name in found if "parameter_events" not in name]

    with PageClient(web.url) as page:
        until(robot, lambda: page.frames and "/segmenter/overlay" in subscribed(), page)
        page.send(type="watch", camera=None)  # its tab is hidden
        until(robot, lambda: not subscribed())
        page.send(type="watch", camera="")
        until(robot, lambda: "/segmenter/overlay" in subscribed())
        busy = per_second(robot, web, 2.0)
    until(robot, lambda: not subscribed())
    idle = per_second(robot, web, 3.0)
    assert idle < 0.02 or idle < busy / 5, (idle, busy)


def per_second(robot, web, seconds: float) -> float:
    """Processor time of the web node, while images are sent, as a share of the time."""
    before, start = web.cpu_seconds(), time.monotonic()
    until(robot, lambda: time.monotonic() - start > seconds)
    return (web.cpu_seconds() - before) / (time.monotonic() - start)


def test_several_cameras_are_chosen_by_name(robots, tmp_path):
    robot = robots(cameras="[front, rear]", enable_tracking=False)
    process = WebProcess(robot.domain, tmp_path)
    try:
        with PageClient(process.url) as page:
            until_shown(robot, lambda: page.state.get("cameras") == ["front", "rear"], page)
            page.send(type="watch", camera="rear")
            until_shown(robot, lambda: page.frames and page.state["camera"] == "rear", page)
            point = {"x": 30, "y": 40, "is_foreground": True, "target": "", "stamp": "0"}
            page.send(type="point", camera="rear", **point)
            until_shown(robot, lambda: "point 1" in objects(page), page)
            page.send(type="point", camera="front", **point)  # nobody looks at it
            until_shown(robot, lambda: page.texts, page)
            assert "camera 'front' is not shown" in page.texts[0]
            page.send(type="watch", camera="front")
            until_shown(robot, lambda: page.state["camera"] == "front" and not objects(page), page)
    finally:
        assert process.stop() in (0, 2), process.output


def until_shown(robot, done, page) -> None:
    """Send images of both cameras until something is true."""
    deadline = time.monotonic() + 200
    while not done():
        assert time.monotonic() < deadline, vars(page)
        for camera in ("front", "rear"):
            robot.send_image(f"/{camera}/image")
        robot.peer.until(lambda: False, 0.05)


def test_the_documentation_lists_the_parameters():
    text = (ROOT / "docs" / "web.md").read_text().partition("## Parameters")[2].partition("##")[0]
    rows = [
        [cell.strip(" `") for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    expected = {n: f"{d:g}" if isinstance(d, float) else str(d) for n, (d, _) in PARAMETERS.items()}
    assert {name: default for _, name, default, *_ in rows} == expected


def test_a_missing_segmenter_is_shown_on_the_page(tmp_path):
    process = WebProcess(next_domain(), tmp_path, segmenter="front/eyes")
    try:
        with PageClient(process.url) as page:
            assert page.until(lambda: page.state.get("level") == "error")
            assert "No segmenter runs under the name /front/eyes" in page.state["message"]
            add = {
                "type": "point",
                "camera": "",
                "x": 1,
                "y": 1,
                "is_foreground": True,
                "target": "",
                "stamp": "0",
            }
            page.send(**add)
            page.send(type="mode", mode="prompt")
            page.send(type="clear", camera="")
            assert page.until(lambda: len(page.texts) == 3)
            assert "no image was shown yet" in page.texts[0] and "does not answer" in page.texts[1]
    finally:
        assert process.stop() in (0, 2)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (["host:=0.0.0.0"], "web: host is 0.0.0.0, which other computers reach; expected a token"),
        (["max_viewers:=0"], "web: parameter max_viewers is 0"),
        (
            ["host:=192.0.2.1", "token:=0123456789abcdef0"],
            "web: the page cannot be served at http://192.0.2.1:8765/",
        ),
    ],
)
def test_parameters_that_cannot_be_used_end_it_with_one_line(parameters, text):
    flags = [part for each in parameters for part in ("-p", each)]
    command = [sys.executable, "-m", "evitsam_ros.nodes.web", "--ros-args", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and done.stderr.startswith(text) and done.stderr.count("\n") == 1
