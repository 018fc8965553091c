# SPDX-License-Identifier: Apache-2.0
"""Start camera and segmenter, prompt them as a robot would, write images and a summary, and stop."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import cv2
import rclpy

from evitsam_ros.bundle import DEFAULT_MODEL, BundleError, open_bundle

from .client import Answer, Client, NodeProcess

OUT = Path("out/demo")
#: Photographs of demo/pictures: the astronaut (Eileen Collins, NASA), and the prompts on it.
SOURCE, SIZE = "example:astronaut", 512
POINT, BOX = (225.0, 120.0), (28.0, 4.0, 370.0, 508.0)
EVERYTHING_SOURCE = "example:coffee"
#: Seconds to wait for a result: far more than on a busy machine, so that only a fault ends the demo.
LIMIT = 200.0


class DemoError(RuntimeError):
    """The demo did not receive an expected result."""


def wait_for_answer(client: Client, prompt: str) -> Answer:
    """Return the first answer with a mask of an image that was taken after this call.

    Args:
        client: receives the answers.
        prompt: its description, for messages.

    Raises:
        DemoError: no answer arrived in time.
    """
    asked = client.seconds()
    client.spin_until(lambda: client.answer is not None and client.answer.stamp > asked, LIMIT)
    answer = client.answer
    if answer is None or answer.stamp <= asked:
        raise DemoError(f"no mask for {prompt} within {LIMIT:.0f} s")
    print(f"  {prompt}: {len(set(answer.labels.ravel().tolist()) - {0})} mask(s)", flush=True)
    return answer


def save(name: str, answer: Answer) -> None:
    """Write the overlay of an answer.

    Raises:
        DemoError: the file cannot be written.
    """
    path = OUT / f"{name}.png"
    if not cv2.imwrite(str(path), cv2.cvtColor(answer.overlay, cv2.COLOR_RGB2BGR)):
        raise DemoError(f"{path} cannot be written")


def run(client: Client, nodes: dict[str, NodeProcess]) -> None:
    """Prompt by a point, by a box and in everything mode; write an image of each.

    Raises:
        DemoError: a node did not start or did not answer in time.
    """
    if not client.spin_until(lambda: client.frames > 0, LIMIT):
        raise DemoError(f"no camera image within {LIMIT:.0f} s")
    if not client.spin_until(lambda: client.diagnostics.get("state") == "active", LIMIT):
        raise DemoError(f"the segmenter did not become active within {LIMIT:.0f} s")
    if not client.spin_until(client.can_prompt, LIMIT):
        raise DemoError(f"the segmenter did not subscribe to the topics of prompts within {LIMIT:.0f} s")
    client.send_point(*POINT)
    save("point", wait_for_answer(client, "a point"))
    client.clear()
    if client.boxes is not None:
        client.send_box(*BOX)
        save("box", wait_for_answer(client, "a box"))
    client.note_latency("prompt", LIMIT)
    client.clear()
    nodes["camera"].stop()
    nodes["camera"] = start_camera(EVERYTHING_SOURCE)
    client.set_mode("everything")
    client.spin_until(lambda: False, 1.5)
    save("everything", wait_for_answer(client, "everything"))
    client.note_latency("everything", LIMIT)


def start_camera(source: str) -> NodeProcess:
    """Start the camera node with an image source."""
    parameters = {"source": source, "rate": 8.0, "motion": 0.02, "width": SIZE}
    return NodeProcess("camera", OUT / "camera.log", parameters)


def summary(client: Client, seconds: float) -> dict:
    """Return the figures of the demo."""
    diagnostics = client.diagnostics
    return {
        "frames_in": client.frames,
        "frames_answered": client.answers,
        "masks_out": client.masks,
        "prompts_answered": int(diagnostics.get("prompts_answered", 0)),
        "latency_ms": client.latency,
        "backend": diagnostics.get("backend"),
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "seconds": round(seconds, 1),
        "pictures": sorted(str(path) for path in OUT.glob("*.png")),
    }


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="demo")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a bundle's name or folder")
    model = parser.parse_args().model
    try:
        open_bundle(model)
    except BundleError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.png"):
        old.unlink()
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    start = time.monotonic()
    print("demo: camera and segmenter start as two processes", flush=True)
    nodes = {"camera": start_camera(SOURCE)}
    nodes["segmenter"] = NodeProcess("segmenter", OUT / "segmenter.log", {"model": model})
    rclpy.init()
    client = Client()
    try:
        run(client, nodes)
        report = summary(client, time.monotonic() - start)
    except DemoError as error:
        print(f"demo failed: {error}", file=sys.stderr)
        for node in nodes.values():
            print(node.tail(), file=sys.stderr)
        return 1
    finally:
        for node in nodes.values():
            node.stop()
        client.destroy_node()
        rclpy.try_shutdown()
    (OUT / "summary.json").write_text(json.dumps(report, indent=2))
    print(json.dumps(report, indent=2))
    print("To click on the image yourself, in a browser: make live")
    return 0 if report["masks_out"] else 1


if __name__ == "__main__":
    sys.exit(main())
