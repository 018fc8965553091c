# SPDX-License-Identifier: Apache-2.0
"""Run camera and segmenter and, on request, semantic node, profiler and page in one process.

Images do not go through DDS.

Parameters go to the nodes by their names: ``-p camera:source:=/dev/video0 -p segmenter:mode:=everything``, or
one file for both. With ``cameras: [front, rear]`` there is a camera in each namespace, ``/front/camera``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from ..io.sources import SourceError
from ..malloc import tune_malloc
from .camera import CameraNode
from .profiler import ProfilerNode
from .run import Nodes, run
from .segmenter import SegmenterNode
from .semantic import SemanticNode

#: Takes an image message.
Receiver = Callable[[Any], None]


def compose(
    *, profiler: bool = False, semantic: bool = False, web: bool = False, segmenter: bool = True
) -> Nodes:
    """Make the nodes: a camera, or one for each of the segmenter's, and the requested ones.

    Args:
        profiler: the profiler node.
        semantic: a semantic node for each camera, in its namespace.
        web: the web node; where it cannot be made, an error is logged.
        segmenter: the segmenter; without it there is one camera.

    Raises:
        ValueError: a parameter cannot be used (SourceError: of a camera).
    """
    inference: list[SegmenterNode | SemanticNode] = []
    others: list[Node] = []
    try:
        masks = SegmenterNode(subscribe=False) if segmenter else None
        inference += [] if masks is None else [masks]
        for index, name in enumerate(camera.name for camera in masks.cameras) if masks else [(0, "")]:
            receivers: list[Receiver] = [] if masks is None else [partial(masks.on_image, camera=index)]
            if semantic:
                inference.append(SemanticNode(subscribe=False, namespace=name))
                receivers.append(inference[-1].on_image)
            others.append(CameraNode(partial(_hand_over, receivers), namespace=name))
        if profiler:
            others.append(ProfilerNode())
        if web:
            others += _web(inference[0])
    except Exception:
        for each in inference:
            each.release()
        for node in (*inference, *others):
            node.destroy_node()
        raise
    return Nodes(inference, others)


def _hand_over(receivers: list[Receiver], message: Any) -> None:
    for receive in receivers:
        receive(message)


def _web(logging: SegmenterNode | SemanticNode) -> list[Node]:
    """Make the web node; without it the others run on."""
    from .web import WebNode  # aiohttp takes a while to import

    try:
        return [WebNode()]
    except ValueError as error:
        logging.get_logger().error(f"web: {error}")
        return []


def main(args: list[str] | None = None) -> int:
    """Run the nodes; return the exit code."""
    tune_malloc()
    parser = argparse.ArgumentParser("compose", description="Camera and segmenter in one process.")
    parser.add_argument("--profiler", action="store_true", help="the profiler node too")
    parser.add_argument("--semantic", action="store_true", help="the semantic node too")
    parser.add_argument("--no-segmenter", action="store_true", help="with --semantic: without the segmenter")
    parser.add_argument("--web", action="store_true", help="the web node too: a page to watch and prompt")
    options = parser.parse_args(remove_ros_args(args if args is not None else sys.argv)[1:])
    if options.no_segmenter and not options.semantic:
        parser.error("--no-segmenter leaves no node to run; expected --semantic with it")
    asked = partial(
        compose,
        profiler=options.profiler,
        semantic=options.semantic,
        web=options.web,
        segmenter=not options.no_segmenter,
    )
    return run("compose", asked, args, fatal=(SourceError,))


if __name__ == "__main__":
    sys.exit(main())
