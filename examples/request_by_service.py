# SPDX-License-Identifier: Apache-2.0
"""Request the mask of a point from a running segmenter node by its service, and print where the object is.

    ros2 run evitsam_ros segmenter --ros-args -r image:=/camera/image_raw -p mode:=on_request
    python examples/request_by_service.py --point 320 240

The service ~/segment needs the package evitsam_interfaces; see docs/requests.md. In mode on_request the node
computes nothing between requests.
"""

import argparse
import sys

from evitsam_ros.nodes.client import RequestFailedError, SegmenterClient
from evitsam_ros.segment import Prompt


def main() -> int:
    """Return 0 with an answer, 1 with the reason why there is none."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--point", type=float, nargs=2, required=True, metavar=("X", "Y"))
    parser.add_argument("--node", default="/segmenter", help="name of the segmenter node")
    parser.add_argument("--camera", default="", help="name of one of the node's cameras")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds until the reply")
    options = parser.parse_args()
    try:
        with SegmenterClient(options.node, options.camera) as segmenter:
            prompt = Prompt.parse(points=[options.point])
            answer = segmenter.segment([prompt], timeout=options.timeout)
    except RequestFailedError as error:
        print(error, file=sys.stderr)
        return 1
    for found in answer.objects:
        height, width = found.mask.shape
        share = found.mask.sum() / (height * width)
        print(f"predicted IoU {found.score:.2f}, box {found.box.round(1).tolist()}, {share:.1%} of the image")
    return 0


if __name__ == "__main__":
    sys.exit(main())
