# SPDX-License-Identifier: Apache-2.0
"""The page of the topics and services, from ``topics.yaml``, which tests compare with the running nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from .markdown import code, page, table

FILE = Path(__file__).with_name("topics.yaml")
INTRODUCTION = """\
Relative names can be remapped. Names with `~` are below the node's own name, as `/segmenter/label_map`.
Every output carries the header of the image that it belongs to. An output is computed only while it has a
subscriber. [Inputs and outputs](../inputs_outputs.md) describes the rules of prompts, images, calibration
and depth.

With several cameras (`cameras: [front, rear]`) the names get the camera's name: `front/image`,
`front/camera_info`, `~/front/prompts`, `~/front/label_map`, `~/front/segment`. The services `~/enable` and
`~/reset` belong to the node.
"""
QOS = """\
## Quality of service

- Images, depth and calibrations are subscribed with depth 1. The parameter `reliability` is `best_effort`
  by default, which matches every publisher.
- Prompts are subscribed reliably with depth 10.
- Outputs are published reliably and volatile with depth 2, so that reliable and best-effort subscribers
  match.
- `~/label_info` is latched (transient local): a later subscriber receives the last message.

Every node also has the topics and services of each ROS 2 node: `/rosout`, `/parameter_events`, `/clock`
with `use_sim_time`, and the parameter services. The segmenter has those of a lifecycle node.
`config/sros2/policy.xml` lists all of them.
"""
TITLES = {"in": "subscribes", "out": "publishes", "srv": "serves", "call": "calls"}


@dataclass(frozen=True)
class Entry:
    """A topic or service of a node.

    Attributes:
        direction: ``in``, ``out``, ``srv`` (served) or ``call`` (a service of another node).
        type: as ``sensor_msgs/msg/Image``.
    """

    direction: str
    name: str
    type: str
    text: str


@dataclass(frozen=True)
class NodeTopics:
    """The topics and services of a node."""

    name: str
    about: str
    entries: tuple[Entry, ...]

    def names(self, direction: str) -> set[str]:
        """Return the names of one direction."""
        return {entry.name for entry in self.entries if entry.direction == direction}


def read_topics() -> list[NodeTopics]:
    """Read the table.

    Raises:
        ValueError: an entry has another direction than those of ``TITLES``.
    """
    nodes = []
    for name, content in yaml.safe_load(FILE.read_text()).items():
        entries = tuple(Entry(*each) for each in content["entries"])
        for entry in entries:
            if entry.direction not in TITLES:
                raise ValueError(f"{FILE.name}: {name}: {entry}: expected one of {', '.join(TITLES)}")
        nodes.append(NodeTopics(name, content["about"], entries))
    return nodes


def topics_page() -> str:
    """Return the page."""
    sections = [f"## {node.name}\n\n{node.about}\n\n{_tables(node)}" for node in read_topics()]
    return page("Topics and services", INTRODUCTION, *sections, QOS)


def _tables(node: NodeTopics) -> str:
    parts = []
    for direction, title in TITLES.items():
        rows = [[code(e.name), code(e.type), e.text] for e in node.entries if e.direction == direction]
        if rows:
            parts.append(f"### {node.name} {title}\n\n{table(['name', 'type', 'description'], rows)}")
    return "\n\n".join(parts)
