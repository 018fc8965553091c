# SPDX-License-Identifier: Apache-2.0
"""Failures and listeners, beside the rows of the table.

The rules are in ``docs/event_order.md``.
"""

from .event_session import ACTIVATE, DEACTIVATE, A, B, C, Session, boxed
from .gated_segmenter import Gate
from .harness import change_state
from .prompting import vision_msgs


def test_stamped_prompts_wait_for_the_end_of_the_pause_after_failures(node):
    node.click(A)
    kept = node.image()
    node.answer(kept, (A,))
    node.gate.fail()
    before = node.robot.count("inference_errors")
    for _ in range(100):
        node.image()
        if node.robot.count("inference_errors") >= before + 4:
            break
    node.array(kept, boxed(B))
    node.click(C, kept)
    node.gate.open()
    node.answer(kept, (A, B, C))
    assert node.next_answer() == {A, B, C}


def test_prompts_of_an_image_that_fails_are_dropped_and_named(node):
    kept = node.image()
    node.answer(kept)
    node.gate.fail()
    node.counted("prompts_dropped", lambda: node.array(kept, boxed(B)))
    text = f"~/prompts: the prompts for the image of {kept}.000 s are dropped: inference failed"
    assert text in node.robot.process.output
    node.gate.open()
    assert node.next_answer() == set()


def test_a_box_sent_while_not_subscribed_is_on_no_later_image(robots, known_bundle):
    robot = robots(bundle=known_bundle)
    robot.wait_state("active")
    stamp = 0
    for _ in range(30):
        stamp = robot.send_image().header.stamp.sec
        if robot.peer.until(lambda: robot.count("frames_in") > 0, 1.0):
            break
    message = vision_msgs.Detection2DArray(detections=[boxed(A)])
    message.header.stamp.sec = stamp
    robot.peer.publish(robot.topic("prompts"), message)
    assert robot.peer.until(lambda: robot.count("prompts_without_listener") == 1, 300), robot.diagnostics
    node = Session(robot, Gate(known_bundle))
    node.answer(node.image())
    assert node.next_answer() == set()


def test_names_are_published_again_after_an_activation(node):
    from rclpy.qos import QoSDurabilityPolicy, QoSProfile

    heard: list = []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    node.robot.peer.node.create_subscription(
        vision_msgs.LabelInfo, node.robot.topic("label_info"), heard.append, qos
    )
    node.array(0, boxed(A, "a", "cup"))
    assert node.next_answer() == {A}
    node.in_work()
    node.array(0, boxed(A, "a", "mug"))
    node.image()
    assert change_state(node.robot, DEACTIVATE)
    node.gate.open()
    assert change_state(node.robot, ACTIVATE)
    assert node.next_answer() == {A}
    node.until(lambda: bool(heard) and "mug" in [entry.class_name for entry in heard[-1].class_map])
