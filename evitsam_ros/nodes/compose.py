# SPDX-License-Identifier: Apache-2.0
"""Run camera, segmenter and, on request, profiler and page in one process: images do not go through DDS.

Parameters go to the nodes by their names: ``-p camera:source:=/dev/video0 -p segmenter:mode:=everything``, or
one file for both. With ``cameras: [front, rear]`` there is a camera in each namespace, ``/front/camera``.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from ..io.sources import SourceError
from ..malloc import tune_malloc
from .camera import CameraNode
from .fastdds import use_profile
from .profiler import ProfilerNode
from .runtime import ros, spin, started
from .segmenter import SegmenterNode


def compose(*, with_profiler: bool = False, with_web: bool = False) -> tuple[SegmenterNode, list[Node]]:
    """Make the nodes; return the segmenter, and all of them with it first.

    Args:
        with_profiler: the profiler node too.
        with_web: the web node too; where it cannot be made, an error is logged.

    Raises:
        ValueError: a parameter cannot be used (SourceError: of a camera).
    """
    segmenter = SegmenterNode(subscribe=False)
    nodes: list[Node] = [segmenter]
    try:
        for index, camera in enumerate(segmenter.cameras):
            nodes.append(CameraNode(partial(segmenter.on_image, camera=index), namespace=camera.name))
        if with_profiler:
            nodes.append(ProfilerNode())
        if with_web:
            nodes += _web(segmenter)
    except Exception:
        for node in nodes:
            node.destroy_node()
        raise
    return segmenter, nodes


def _web(segmenter: SegmenterNode) -> list[Node]:
    """Make the web node; without it the others run on."""
    from .web import WebNode  # aiohttp takes a while to import

    try:
        return [WebNode()]
    except ValueError as error:
        segmenter.get_logger().error(f"web: {error}")
        return []


def main(args: list[str] | None = None) -> int:
    """Run the nodes; return the exit code."""
    use_profile()
    tune_malloc()
    parser = argparse.ArgumentParser("compose", description="Camera and segmenter in one process.")
    parser.add_argument("--profiler", action="store_true", help="the profiler node too")
    parser.add_argument("--web", action="store_true", help="the web node too: a page to watch and prompt")
    options = parser.parse_args(remove_ros_args(args if args is not None else sys.argv)[1:])
    with ros(args):
        segmenter, nodes = started(
            "compose", lambda: compose(with_profiler=options.profiler, with_web=options.web)
        )
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)

        def failed(error: Exception) -> None:
            if isinstance(error, SourceError):
                raise error
            segmenter.callback_failed(error)

        try:
            segmenter.start()
            spin(executor, failed)
        except SourceError as error:
            segmenter.get_logger().error(str(error))
            return 1
        finally:
            segmenter.release()
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
