# SPDX-License-Identifier: Apache-2.0
"""Configured, activated, deactivated and cleaned up again and again: nothing grows."""

import numpy as np
from geometry_msgs.msg import Point
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image

from ..nodes.usage import Usage, entities, table
from .frames import WHOLE

WARM_UP, CYCLES = (40, 200) if WHOLE else (4, 20)
#: Frames answered in a cycle.
FRAMES = 3
#: Most growth of the memory after the warm-up.
MOST_GROWTH = 0.02


class Manager:
    """Changes the state of a robot's node."""

    def __init__(self, robot) -> None:
        self.robot = robot
        self.client = robot.peer.node.create_client(ChangeState, robot.topic("change_state"))
        assert self.client.wait_for_service(timeout_sec=200)

    def change(self, transition: int) -> None:
        future = self.client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        assert self.robot.peer.until(future.done, 200) and future.result().success, self.robot.process.output


def answered(robot, count: int) -> None:
    """Images of several sizes are answered."""
    for number in range(count):
        side = 64 + 32 * (number % 3)
        robot.answer(Image, "mask", image=np.full((side, side, 3), 90, np.uint8))


def settled_entities(robot, seen: list[dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return what the node has once discovery has caught up: what it had the first time, or no more change.

    Args:
        seen: what the node had in this state before.
    """

    def now() -> dict[str, list[str]]:
        return entities(robot.peer.node, robot.name)

    if seen:
        robot.peer.until(lambda: now() == seen[0], 200)
        return now()
    last = None
    while last != (last := now()):
        robot.peer.until(lambda: False, 3)
    return last


def test_memory_and_entities_do_not_grow(robots):
    robot = robots(autostart=False, enable_depth=True, enable_3d_clicks=True)
    robot.wait_state("inactive")
    manager, pid = Manager(robot), robot.process.process.pid
    usages, seen = [], {"configured": [], "cleaned up": []}
    for _ in range(WARM_UP + CYCLES):
        manager.change(Transition.TRANSITION_CONFIGURE)
        manager.change(Transition.TRANSITION_ACTIVATE)
        if not usages:  # prompts outlive the clean-up
            robot.peer.publish(robot.topic("pixel"), Point(x=20.0, y=20.0))
        answered(robot, FRAMES)
        seen["configured"].append(settled_entities(robot, seen["configured"]))
        manager.change(Transition.TRANSITION_DEACTIVATE)
        manager.change(Transition.TRANSITION_CLEANUP)
        usages.append(Usage.of(pid))
        seen["cleaned up"].append(settled_entities(robot, seen["cleaned up"]))
    warm, last = usages[WARM_UP - 1], usages[-1]
    growth = last.memory / warm.memory - 1
    table(
        f"{CYCLES} cycles of the lifecycle after {WARM_UP} to warm up, {FRAMES} frames answered in each",
        first=usages[0],
        warm=warm,
        last=last,
        growth=f"{growth:.2%}",
        entities={state: {kind: len(v) for kind, v in each[-1].items()} for state, each in seen.items()},
    )
    assert growth < MOST_GROWTH, [round(usage.memory, 1) for usage in usages]
    assert not last.holds_more_than(usages[:WARM_UP]), [str(usage) for usage in usages]
    for state, each in seen.items():
        assert each[-1] == each[WARM_UP], state
    assert len(seen["configured"][-1]["publishers"]) > len(seen["cleaned up"][-1]["publishers"])
