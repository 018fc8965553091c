# SPDX-License-Identifier: Apache-2.0
"""A participant of another DDS vendor publishes the image and reads the mask."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .prompting import detection, prompt

#: Loopback without multicast, as ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST makes the ROS side.
LOOPBACK = """<CycloneDDS><Domain><General><AllowMulticast>false</AllowMulticast>
<Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces></General>
<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>
<Peers><Peer address="localhost"/></Peers></Discovery></Domain></CycloneDDS>"""
PYTHON = os.environ.get("EVITSAM_PEER_PYTHON")


@pytest.mark.skipif(not PYTHON, reason="no environment with cyclonedds: run through make test")
def test_image_and_mask_cross_the_vendors_border(robots):
    robot = robots()
    robot.wait_state("active")
    prompt(robot, detection(60, 40, 50, 30))
    hidden = ("LD_LIBRARY_PATH", "PYTHONPATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment["CYCLONEDDS_URI"] = LOOPBACK
    script = Path(__file__).with_name("cyclonedds_peer.py")
    command = [PYTHON, str(script), str(robot.domain)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert result.returncode == 0, result.stderr + robot.process.output
    answer = json.loads(result.stdout)
    assert answer["frame_id"] == "another_vendor" and answer["stamp"] >= 1000
    assert answer["encoding"] == "mono8" and answer["size"] == [128, 96]
    inside = np.zeros(96 * 128, bool)
    inside[answer["inside"]] = True
    truth = np.zeros((96, 128), bool)
    truth[25:55, 35:85] = True
    inside = inside.reshape(96, 128)
    assert (inside & truth).sum() / (inside | truth).sum() > 0.95
