# SPDX-License-Identifier: Apache-2.0
"""A participant of another vendor's DDS: publishes an image, prints the mask that comes back as JSON.

Runs in an environment of its own: ``python cyclonedds_peer.py DOMAIN``.
"""

import json
import sys
import time
from dataclasses import dataclass

from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import int32, sequence, uint8, uint32
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
class Time(IdlStruct, typename="builtin_interfaces::msg::dds_::Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs::msg::dds_::Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Image(IdlStruct, typename="sensor_msgs::msg::dds_::Image_"):
    header: Header
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]


def main() -> int:
    participant = DomainParticipant(int(sys.argv[1]))
    qos = Qos(
        Policy.Reliability.Reliable(duration(milliseconds=200)),
        Policy.History.KeepLast(5),
        Policy.DataRepresentation(use_cdrv0_representation=True),
    )
    writer = DataWriter(participant, Topic(participant, "rt/image", Image, qos=qos), qos=qos)
    reader = DataReader(participant, Topic(participant, "rt/segmenter/mask", Image, qos=qos), qos=qos)
    pixels = [90] * (96 * 128 * 3)
    for number in range(150):
        writer.write(Image(Header(Time(1000 + number, 5), "another_vendor"), 96, 128, "bgr8", 0, 384, pixels))
        time.sleep(0.1)
        for mask in reader.take(N=1):
            if any(mask.data):
                inside = [index for index, value in enumerate(mask.data) if value]
                print(
                    json.dumps(
                        {
                            "stamp": mask.header.stamp.sec,
                            "frame_id": mask.header.frame_id,
                            "encoding": mask.encoding,
                            "size": [mask.width, mask.height],
                            "inside": inside,
                        }
                    )
                )
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
