# SPDX-License-Identifier: Apache-2.0
"""Run camera, segmenter and (``--profiler``) profiler in one process: images do not go through DDS.

Parameters go to the nodes by their names: ``-p camera:source:=/dev/video0 -p segmenter:mode:=everything``, or
one file for both. With ``cameras: [front, rear]`` there is a camera in each namespace, ``/front/camera``.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from ..io.sources import SourceError
from ..malloc import tune_malloc
from .camera import CameraNode
from .profiler import ProfilerNode
from .run import Nodes, run
from .segmenter import SegmenterNode


def compose(*, with_profiler: bool = False) -> Nodes:
    """Make the nodes.

    Args:
        with_profiler: the profiler node too.

    Raises:
        ValueError: a parameter cannot be used (SourceError: of a camera).
    """
    segmenter = SegmenterNode(subscribe=False)
    others: list[Node] = []
    try:
        for index, camera in enumerate(segmenter.cameras):
            others.append(CameraNode(partial(segmenter.on_image, camera=index), namespace=camera.name))
        if with_profiler:
            others.append(ProfilerNode())
    except Exception:
        for node in (segmenter, *others):
            node.destroy_node()
        raise
    return Nodes([segmenter], others)


def main(args: list[str] | None = None) -> int:
    """Run the nodes; return the exit code."""
    tune_malloc()
    parser = argparse.ArgumentParser("compose", description="Camera and segmenter in one process.")
    parser.add_argument("--profiler", action="store_true", help="the profiler node too")
    options = parser.parse_args(remove_ros_args(args if args is not None else sys.argv)[1:])
    return run("compose", lambda: compose(with_profiler=options.profiler), args, fatal=(SourceError,))


if __name__ == "__main__":
    sys.exit(main())
