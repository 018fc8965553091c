# SPDX-License-Identifier: Apache-2.0
"""`make live`: a camera, the segmenter and a page to click on, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from pathlib import Path

from evitsam_ros.bundle import DEFAULT_MODEL, BundleError, open_bundle

from .client import NodeProcess

OUT = Path("out/live")
#: The photograph of the astronaut; the view moves over it.
SOURCE = "example:astronaut"
PORT = 8765
#: Seconds to wait for the page: far more than a busy machine takes.
LIMIT = 200.0


def camera_parameters(source: str) -> dict[str, object]:
    """Return the parameters of the desk camera; still images move, a webcam is shown as it is."""
    if source.isdigit():
        source = f"/dev/video{source}"
    parameters: dict[str, object] = {"camera:source": source, "camera:rate": 10.0}
    if source.startswith("example"):
        parameters["camera:motion"] = 0.02
    return parameters


def wait_for_page(node: NodeProcess) -> str:
    """Wait until the page is served; return its address, empty when the node ends or cannot serve it."""
    deadline = time.monotonic() + LIMIT
    while node.running and time.monotonic() < deadline:
        log = node.log.read_text(errors="replace")
        if found := re.search(r"page of \S+: (http://\S+)", log):
            return found[1]
        if "web: " in log:
            return ""
        time.sleep(0.2)
    return ""


def main() -> int:
    """Run until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(prog="live")
    parser.add_argument("--source", default=SOURCE, help="image, folder, video, bag, or number of a webcam")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a bundle's name or folder")
    parser.add_argument("--port", type=int, default=PORT, help="port of the page")
    options = parser.parse_args()
    try:
        open_bundle(options.model)
    except BundleError as error:
        print(f"live: {error}", file=sys.stderr)
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("ROS_DOMAIN_ID", str(40 + os.getpid() % 50))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parameters = camera_parameters(options.source) | {"segmenter:model": options.model}
    node = NodeProcess("compose", OUT / "live.log", parameters | {"web:port": options.port}, flags=("--web",))
    code = 1
    try:
        if url := wait_for_page(node):
            print(f"live: open {url} and click on the image; Ctrl-C ends it", flush=True)
            code = node.process.wait()
        print(f"live failed:\n{node.tail()}", file=sys.stderr)
    except KeyboardInterrupt:
        print("live: ended", flush=True)
        code = 0
    finally:
        node.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
