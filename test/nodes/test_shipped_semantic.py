# SPDX-License-Identifier: Apache-2.0
"""The semantic node and the segmenter with the shipped bundle, over real DDS, on a street."""

from pathlib import Path

import numpy as np
import pytest
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image

from evitsam_ros.bundle import DEFAULT_SEMANTIC

from ..dense.street import places, street
from .harness import pixels
from .prompting import detection, prompt

vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")

#: Ids of the objects in the street.
NUMBERS = {"sky": "1", "tree": "2", "road": "3"}
ENGINES = Path(__file__).parents[2] / "engines"


def test_a_street_comes_back_with_its_names(robots):
    made = robots(ENGINES / DEFAULT_SEMANTIC, node="/semantic", module="semantic", backend="onnxruntime")
    made.wait_state("active")
    heard = []
    qos = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    made.peer.node.create_subscription(vision_msgs.LabelInfo, "/semantic/label_info", heard.append, qos)
    labels = pixels(made.answer(Image, "label_map", image=street()))
    assert made.peer.until(lambda: heard, 600)
    values = {entry.class_name: entry.class_id for entry in heard[-1].class_map}
    assert labels.shape == street().shape[:2] and len(values) == 12
    for name, place in places().items():
        assert (labels[place] == values[name]).mean() > 0.8, name


def test_a_prompted_mask_gets_the_name_of_what_is_under_it(robots):
    """Both networks on one image in one process."""
    made = robots(semantic_model=ENGINES / DEFAULT_SEMANTIC, enable_tracking=False, backend="onnxruntime")
    made.wait_state("active")
    boxes = []
    for name, (rows, cols) in places().items():
        middle = np.mean([cols.start, cols.stop]), np.mean([rows.start, rows.stop])
        boxes.append(detection(*middle, cols.stop - cols.start, rows.stop - rows.start, NUMBERS[name]))
    prompt(made, *boxes)
    answer = made.answer(vision_msgs.Detection2DArray, "detections", image=street())
    found = {each.id: each.results[0].hypothesis.class_id for each in answer.detections}
    assert found == {number: name for name, number in NUMBERS.items()}
