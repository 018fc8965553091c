# SPDX-License-Identifier: Apache-2.0
"""Run nodes in a process of their own, from their construction to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from .fastdds import use_profile
from .runtime import ros, spin, started


class InferenceNode(Protocol):
    """A node with networks."""

    def start(self) -> None:
        """Begin the work, once the node has an executor."""

    def release(self) -> None:
        """End the work and free the networks."""

    def callback_failed(self, error: Exception) -> None:
        """Report an exception of a callback of the process."""

    def get_logger(self) -> Any:
        """Return the logger."""


@dataclass(frozen=True)
class Nodes:
    """The nodes of a process.

    Attributes:
        inference: nodes with networks, one or more; the first reports errors of callbacks.
        others: the rest.
    """

    inference: Sequence[InferenceNode]
    others: Sequence[Node] = ()

    def __iter__(self) -> Iterator[Any]:
        """Iterate over all nodes."""
        yield from (*self.inference, *self.others)


def run(
    program: str,
    make: Callable[[], Nodes],
    args: list[str] | None = None,
    fatal: tuple[type[Exception], ...] = (),
) -> int:
    """Make nodes and spin them until the context shuts down.

    Args:
        program: name for errors at start.
        make: makes the nodes.
        args: of the command line; None: those of the process.
        fatal: errors of callbacks that end the program with exit code 1; others are reported.

    Returns:
        The exit code.

    Raises:
        SystemExit: a parameter or a name cannot be used; stderr has a line.
    """
    use_profile()
    with ros(args):
        nodes = started(program, make)
        first = nodes.inference[0]
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)

        def failed(error: Exception) -> None:
            if isinstance(error, fatal):
                raise error
            first.callback_failed(error)

        try:
            for each in nodes.inference:
                each.start()
            spin(executor, failed)
        except fatal as error:
            first.get_logger().error(str(error))
            return 1
        finally:
            for each in nodes.inference:
                each.release()
            executor.shutdown()
            for node in nodes:
                node.destroy_node()
    return 0
