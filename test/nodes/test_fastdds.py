# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile, by what a process with it sends: counted on the wire, against the stock profile."""

import os
import socket
import subprocess
import sys
import time

import pytest

from evitsam_ros.nodes.fastdds import VARIABLES

#: A domain of its own, and a participant of it that nobody is: RTPS 2.5, section 9.6.2.3 gives its port.
DOMAIN, NOBODY = 97, 9
PORT = 7400 + 250 * DOMAIN + 10 + 2 * NOBODY
NODE = """
import sys, rclpy
from evitsam_ros.nodes.fastdds import use_profile
if sys.argv[1] == "ours":
    use_profile()
rclpy.init()
node = rclpy.create_node("announcer")
print("there", flush=True)
sys.stdin.read()
"""


def announcements(profile: str, after: float = 1.5, seconds: float = 4.0) -> int:
    """How often a participant that nobody is hears of a process, once the first ones, five in half a second,
    are over. Every transport sends one: what comes within a tenth of a second is one."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {"ROS_DOMAIN_ID": str(DOMAIN), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", PORT))
        process = subprocess.Popen([sys.executable, "-c", NODE, profile], env=environment, **pipes)
        try:
            assert process.stdout.readline() == b"there\n"
            ear.settimeout(after + seconds)
            begin, last, count = time.monotonic() + after, 0.0, 0
            while (left := begin + seconds - time.monotonic()) > 0:
                ear.settimeout(left)
                try:
                    message = ear.recv(65536)
                except TimeoutError:
                    break
                assert message.startswith(b"RTPS")
                now = time.monotonic()
                count += now > begin and now - last > 0.1
                last = now
            return count
        finally:
            process.communicate()


@pytest.mark.skipif(
    os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp") != "rmw_fastrtps_cpp", reason="Fast DDS only"
)
def test_a_process_with_the_profile_announces_itself_every_half_second():
    stock, ours = announcements("stock"), announcements("ours")
    assert stock <= 2  # once in three seconds
    assert 5 <= ours <= 9


def test_a_profile_set_by_the_user_is_kept(monkeypatch):
    from evitsam_ros.nodes.fastdds import use_profile

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(VARIABLES[1], "/etc/robot/dds.xml")
    use_profile()
    assert [os.environ.get(name) for name in VARIABLES] == [None, "/etc/robot/dds.xml"]
