# SPDX-License-Identifier: Apache-2.0
"""Run the camera's process, and write the times of the round trips: ``python -m bench.ros.camera JSON OUT``.

Segmenter and stand-in answer alternately, from processes of their own or, with ``one``, in this one: then the
images are handed over as ``compose`` does it, and the masks go through DDS within the process.
"""

from __future__ import annotations

import array
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from evitsam_ros.malloc import tune_malloc
from evitsam_ros.nodes.camera import PARAMETERS
from evitsam_ros.nodes.fastdds import use_profile
from evitsam_ros.nodes.messages import image_message
from evitsam_ros.nodes.runtime import ros
from evitsam_ros.nodes.segmenter import SegmenterNode

from ..known_bundle import SIDE
from ..processes import ros_arguments
from ..workload import ROS_SIZES, photograph
from .round_trips import RoundTrips
from .stand_in import StandIn

#: Names of the nodes.
SEGMENTER, STAND_IN = "segmenter", "stand_in"
#: Warm-up frames of each target.
WARMUP = 5


@dataclass(frozen=True)
class Options:
    """One configuration.

    Attributes:
        size: name of the image size.
        frames: frames sent to each node.
        compressed: send JPEG instead of raw images.
        one: run both nodes in the camera's process; else they run elsewhere.
        profile: let the camera use the shipped Fast DDS profile.
        stand_in: measure the stand-in.
        segmenter: measure the segmenter.
        bundle: bundle of a segmenter in this process.
        delay_ms: delay of a stand-in in this process.
        network_scale: publish label maps of the network's resolution; those of the stand-in are as small.
    """

    size: str
    frames: int
    compressed: bool = False
    one: bool = False
    profile: bool = True
    stand_in: bool = True
    segmenter: bool = True
    bundle: str = ""
    delay_ms: float = 0.0
    network_scale: bool = False

    @property
    def pixels(self) -> tuple[int, int]:
        """Return (W, H)."""
        return ROS_SIZES[self.size]

    def topic(self, name: str) -> str:
        """Return the image topic of a node in a process of its own; each node has its own topic."""
        return f"/{name}/{self.image_topic}"

    @property
    def image_topic(self) -> str:
        """Return the name of the image topic."""
        return "image/compressed" if self.compressed else "image"

    def as_text(self) -> str:
        """Return the options as JSON."""
        return json.dumps(asdict(self))

    def segmenter_parameters(self) -> dict[str, object]:
        """Return the segmenter's parameters; without tracking, which is work on images and not ROS."""
        transport = "compressed" if self.compressed else "raw"
        parameters = {"model": self.bundle, "image_transport": transport, "enable_tracking": "false"}
        if self.network_scale:
            parameters["output_scale"] = "network"
        return parameters | {"diagnostics_period_s": 0.5}

    def stand_in_parameters(self) -> dict[str, object]:
        """Return the stand-in's parameters."""
        width, height = self.pixels
        size = {"width": width, "height": height}
        if self.network_scale:
            size = {"width": SIDE, "height": round(SIDE * height / width), "own_size": "true"}
        return {"delay_ms": self.delay_ms, "compressed": str(self.compressed).lower()} | size


def filled_message(options: Options) -> Image | CompressedImage:
    """Return the message of the camera without a stamp: bgr8, or a JPEG of the camera node's quality."""
    pixels = photograph(options.pixels)[..., ::-1]
    header = Header(frame_id="camera_optical_frame")
    if not options.compressed:
        return image_message(header, pixels.copy(), "bgr8")
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, PARAMETERS["jpeg_quality"][0]])[1]
    message = CompressedImage(header=header, format="jpeg")
    message.data = array.array("B", encoded.tobytes())
    return message


def nodes_here(options: Options) -> dict[str, tuple]:
    """Return the nodes of this process by name, each with its image callback."""
    if not options.one:
        return {}
    segmenter, stand_in = SegmenterNode(subscribe=False), StandIn(subscribe=False)
    segmenter.start()
    return {SEGMENTER: (segmenter, segmenter.on_image), STAND_IN: (stand_in, stand_in.on_image)}


def arguments(options: Options) -> list[str]:
    """Return the ROS arguments of the nodes in this process."""
    parameters = {f"{SEGMENTER}:{k}": v for k, v in options.segmenter_parameters().items()}
    parameters |= {f"{STAND_IN}:{k}": v for k, v in options.stand_in_parameters().items()}
    return ros_arguments(parameters)


def run(options: Options) -> dict[str, dict]:
    """Measure a configuration.

    Returns:
        By node, the times in ms of its frames (None: no answer), and its own median latency by stage.
    """
    here = nodes_here(options)
    trips = RoundTrips(filled_message(options), tuple(node for node, _ in here.values()))
    for name, measured in ((SEGMENTER, options.segmenter), (STAND_IN, options.stand_in)):
        if measured:
            hand_over = here[name][1] if here else None
            trips.add(name, None if here else options.topic(name), hand_over, click=name == SEGMENTER)
    width, height = options.pixels
    try:
        trips.ready(width / 2, height / 2, answers=options.profile)
        trips.measure(WARMUP + options.frames)
    finally:
        if here:
            here[SEGMENTER][0].release()
        trips.close()
    return {t.name: {"ms": t.times_ms[WARMUP:], "stages": t.stages} for t in trips.targets}


def main(text: str, out: str) -> int:
    """Measure the options given as JSON, write the result to a file, and return the exit code."""
    options = Options(**json.loads(text))
    if options.profile:
        use_profile()
    tune_malloc()
    with ros([sys.argv[0], *arguments(options)] if options.one else None):
        try:
            Path(out).write_text(json.dumps(run(options)))
        except TimeoutError as error:
            print(f"camera: {error}", file=sys.stderr)
            return 1
    return 0 if Path(out).stat().st_size else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
